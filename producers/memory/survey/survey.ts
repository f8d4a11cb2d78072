import { createHmac, randomBytes } from 'node:crypto';
import type { DecodedParameter, ParameterValue } from '../dwarf/values.js';
import type { LookResult, SeenFrame } from '../sample/look-result.js';

/** Far more than programs have; what comes beyond is counted, not listed. */
const MAX_FUNCTIONS = 20_000;
const MAX_PARAMETERS = 64;
const MAX_VALUES = 64;
const MAX_TEXT = 200;

/** A parameter of a function as looks have seen it. */
export interface SurveyedParameter {
  readonly name: string;
  readonly type: string;
  /** Times that it had a value, and times that it had none. */
  readonly seen: number;
  readonly unavailable: number;
  /** Different values, up to 64. */
  readonly distinct: number;
  /** There were more. */
  readonly more: boolean;
  /** The values, the most frequent first; null unless they were asked for: they may be secrets. */
  readonly values: readonly { readonly value: string; readonly seen: number }[] | null;
}

export interface SurveyedFunction {
  readonly function: string;
  readonly linkageName: string;
  /** File that holds the code, as its process sees it. */
  readonly module: string;
  /** Where its source is; '' and 0 without debug information. */
  readonly source: string;
  readonly line: number;
  /** Looks that saw it on a stack, on top of one, and only where a scan may have erred. */
  readonly looks: number;
  readonly innermost: number;
  readonly uncertain: number;
  /** `looks` and `innermost` of all looks that saw a stack. */
  readonly share: number;
  readonly innermostShare: number;
  readonly parameters: readonly SurveyedParameter[];
}

export interface Surveyed {
  /** Looks at processes, and those of them that saw at least one stack. */
  readonly looks: number;
  readonly sampled: number;
  /** Threads met on a CPU, or that went on during a look. */
  readonly running: number;
  readonly torn: number;
  /** PID:STARTTIME of each. */
  readonly processes: readonly string[];
  readonly runtimes: readonly string[];
  /** Functions that were left out because there were too many. */
  readonly omitted: number;
  /** The most frequent first. */
  readonly functions: readonly SurveyedFunction[];
}

interface ParameterTally {
  readonly type: string;
  seen: number;
  unavailable: number;
  more: boolean;
  readonly values: Map<string, number>;
}

interface Tally {
  readonly frame: SeenFrame;
  looks: number;
  innermost: number;
  certain: number;
  readonly parameters: Map<string, ParameterTally>;
  /** Numbers of the last looks that counted it, so that a look counts once however many threads it has. */
  inLook: number;
  innermostInLook: number;
  certainInLook: number;
}

const plain = (value: ParameterValue): unknown => {
  if (typeof value === 'bigint') return value.toString();
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]));
};

const textOf = (value: ParameterValue): string => {
  const text = typeof value === 'object' && value !== null ? JSON.stringify(plain(value)) : String(value);
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
};

/** Counts which functions looks meet, with which parameters. Bounded, whatever the program does. */
export class Survey {
  readonly #keepValues: boolean;
  /** Values are told apart by a keyed digest: the text itself is not even kept in memory. */
  readonly #key = randomBytes(32);
  readonly #tallies = new Map<string, Tally>();
  readonly #processes = new Set<string>();
  readonly #runtimes = new Set<string>();
  readonly #omitted = new Set<string>();
  #looks = 0;
  #sampled = 0;
  #running = 0;
  #torn = 0;

  /** `values`: keep what parameters hold, so that it can be shown. */
  constructor(options: { readonly values: boolean }) {
    this.#keepValues = options.values;
  }

  add(look: LookResult): void {
    if (look.gone) return;
    this.#looks++;
    this.#processes.add(`${look.pid}:${look.startTime}`);
    this.#runtimes.add(look.runtime);
    let sampled = false;
    for (const thread of look.threads) {
      if (thread.outcome === 'running') this.#running++;
      else if (thread.outcome === 'torn') this.#torn++;
      else if (thread.outcome === 'sampled') {
        sampled = true;
        for (const [i, frame] of thread.frames.entries()) this.#count(frame, i === 0);
      }
    }
    if (sampled) this.#sampled++;
  }

  #count(frame: SeenFrame, innermost: boolean): void {
    if (frame.function === null) return;
    const key = `${frame.file}\0${frame.function}`;
    let tally = this.#tallies.get(key);
    if (tally === undefined) {
      if (this.#tallies.size >= MAX_FUNCTIONS) {
        if (this.#omitted.size < MAX_FUNCTIONS) this.#omitted.add(key);
        return;
      }
      tally = {
        frame: { ...frame, parameters: [] },
        looks: 0,
        innermost: 0,
        certain: 0,
        parameters: new Map(),
        inLook: 0,
        innermostInLook: 0,
        certainInLook: 0,
      };
      this.#tallies.set(key, tally);
    }
    if (tally.inLook !== this.#looks) {
      tally.inLook = this.#looks;
      tally.looks++;
    }
    if (innermost && tally.innermostInLook !== this.#looks) {
      tally.innermostInLook = this.#looks;
      tally.innermost++;
    }
    if (frame.foundBy !== 'scan' && tally.certainInLook !== this.#looks) {
      tally.certainInLook = this.#looks;
      tally.certain++;
    }
    for (const parameter of frame.parameters) this.#countParameter(tally.parameters, parameter);
  }

  #countParameter(parameters: Map<string, ParameterTally>, parameter: DecodedParameter): void {
    let tally = parameters.get(parameter.name);
    if (tally === undefined) {
      if (parameters.size >= MAX_PARAMETERS) return;
      tally = { type: parameter.type, seen: 0, unavailable: 0, more: false, values: new Map() };
      parameters.set(parameter.name, tally);
    }
    if (parameter.unavailable !== '' || parameter.value === null) {
      tally.unavailable++;
      return;
    }
    tally.seen++;
    const text = textOf(parameter.value);
    const key = this.#keepValues ? text : createHmac('sha256', this.#key).update(text).digest('base64');
    const before = tally.values.get(key);
    if (before === undefined && tally.values.size >= MAX_VALUES) tally.more = true;
    else tally.values.set(key, (before ?? 0) + 1);
  }

  result(): Surveyed {
    const share = (count: number): number => (this.#sampled === 0 ? 0 : count / this.#sampled);
    const functions = [...this.#tallies.values()]
      .map(({ frame, looks, innermost, certain, parameters }) => ({
        function: frame.function!,
        linkageName: frame.linkageName,
        module: frame.file,
        source: frame.source,
        line: frame.line,
        looks,
        innermost,
        uncertain: looks - certain,
        share: share(looks),
        innermostShare: share(innermost),
        parameters: [...parameters].map(([name, tally]) => this.#parameter(name, tally)),
      }))
      .sort((a, b) => b.looks - a.looks || b.innermost - a.innermost || (a.function < b.function ? -1 : 1));
    return {
      looks: this.#looks,
      sampled: this.#sampled,
      running: this.#running,
      torn: this.#torn,
      processes: [...this.#processes],
      runtimes: [...this.#runtimes].sort(),
      omitted: this.#omitted.size,
      functions,
    };
  }

  #parameter(name: string, { type, seen, unavailable, more, values }: ParameterTally): SurveyedParameter {
    const shown = [...values].map(([value, count]) => ({ value, seen: count })).sort((a, b) => b.seen - a.seen);
    return { name, type, seen, unavailable, distinct: values.size, more, values: this.#keepValues ? shown : null };
  }
}
