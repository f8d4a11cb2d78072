import type { Frame, Look, Parameter, ProcessEvent, ThreadLook } from '../../schemas/records.js';
import { type Moment, type RealFrame, START, type Timeline } from './timeline.js';
import type { Choices } from './timeline-random.js';

/** How the process is looked at. */
export interface SampleShape {
  /** Longest time between two looks, µs. */
  readonly period: number;
  /** The process was seen to begin; else somebody attached to it while it ran. */
  readonly beginning: boolean;
  /** Share of looks at a waiting thread that fail, and of those that miss the outer end of a stack. */
  readonly torn: number;
  readonly incomplete: number;
  /** Share of parameters that are seen as they were on entry; the others are current, unavailable or not there. */
  readonly entry: number;
  /** Current values are the arguments. */
  readonly stable: boolean;
  /** The kernel counts runs. */
  readonly counts: boolean;
  /** Longest time between looks at two threads of one look, µs. */
  readonly skew: number;
}

export const PROCESS = '7:7';

/** A record before it gets its place in a stream. */
export type Unplaced =
  | { readonly type: 'Look'; readonly record: Omit<Look, 'stream' | 'seq'> }
  | { readonly type: 'ProcessEvent'; readonly record: Omit<ProcessEvent, 'stream' | 'seq'> };

const momentAt = (moments: readonly Moment[], at: number): number => {
  let i = moments.length - 1;
  while (i >= 0 && moments[i]!.at > at) i--;
  return i;
};

/** Time on a CPU (ns) and number of runs up to `at`, when the thread waits. Each moment after a wait is a run of its own. */
const counters = (moments: readonly Moment[], last: number): { runTime: number; slices: number } => {
  let runTime = 0;
  let slices = 0;
  for (let i = 0; i <= last; i++) {
    runTime += 700;
    if (i === 0 || !moments[i - 1]!.computing) slices++;
    else runTime += (moments[i]!.at - moments[i - 1]!.at) * 1000;
  }
  return { runTime, slices };
};

const parameter = (kind: Parameter['kind'], int: number | null): Parameter => ({
  name: 'n',
  type: 'int',
  kind,
  int,
  real: null,
  text: kind === 'unavailable' ? 'optimised out' : null,
});

const processEvent = (kind: string, notBefore: number, at: number, beginning = false): Unplaced => ({
  type: 'ProcessEvent',
  record: {
    at,
    notBefore,
    process: PROCESS,
    container: '',
    kind,
    beginning,
    binary: '',
    image: '',
    parent: '',
    exitCode: null,
  },
});

/** Looks at a timeline at random instants, as the memory producer does. */
export const sample = (line: Timeline, choices: Choices, shape: SampleShape, exit: boolean): Unplaced[] => {
  const records: Unplaced[] = [];
  const kept = new Map<number, { readonly runTime: number; readonly slices: number; readonly complete: boolean }>();
  const kinds = new Map<RealFrame, Parameter['kind'] | null>();

  const parametersOf = (frame: RealFrame): readonly Parameter[] => {
    if (frame.n === null) return [];
    let kind = kinds.get(frame);
    if (kind === undefined) {
      kind = choices.chance(shape.entry) ? 'entry' : choices.of(['current', 'unavailable', null] as const);
      kinds.set(frame, kind);
    }
    if (kind === null) return [];
    if (kind === 'current') return [parameter(kind, shape.stable ? frame.n : choices.int(0, 2))];
    return [parameter(kind, kind === 'entry' ? frame.n : null)];
  };

  const framesOf = (stack: readonly RealFrame[]): Frame[] =>
    [...stack].reverse().map((frame, i) => ({
      function: frame.name,
      alternatives: frame.alternatives,
      foundBy: i === 0 ? 'prologue' : choices.of(['cfi', 'call-site', 'frame-record']),
      address: frame.address,
      returnAddress: frame.returnAddress,
      parameters: parametersOf(frame),
    }));

  const threadLook = (tid: number, moments: readonly Moment[], at: number): ThreadLook => {
    const i = momentAt(moments, at);
    const moment = moments[i]!;
    const base = { tid, name: 't', at, syscall: null, asBefore: false, complete: false, frames: [] };
    const counted = counters(moments, i);
    const { runTime, slices } = shape.counts ? counted : { runTime: 0, slices: -1 };
    if (moment.computing || choices.chance(shape.torn)) {
      kept.delete(tid);
      return { ...base, runTime, slices, outcome: moment.computing ? 'running' : 'torn' };
    }
    const before = kept.get(tid);
    if (shape.counts && before !== undefined && before.runTime === runTime && before.slices === slices)
      return { ...base, runTime, slices, outcome: 'sampled', asBefore: true, complete: before.complete };
    let frames = framesOf(moment.stack);
    const complete = !choices.chance(shape.incomplete);
    if (!complete) {
      frames = frames.slice(0, choices.int(0, frames.length - 1));
      if (choices.chance(0.5))
        frames.push({
          function: choices.of(['f', 'g', 'h']),
          alternatives: [],
          foundBy: choices.of(['scan', 'residue']),
          address: choices.int(1, 5) * 16,
          returnAddress: 0x500,
          parameters: [parameter('entry', choices.int(0, 2))],
        });
    }
    kept.set(tid, { runTime, slices, complete });
    return { ...base, runTime, slices, outcome: 'sampled', complete, frames };
  };

  let from = shape.beginning ? line.begin : choices.int(line.begin, line.end);
  let last = from;
  records.push(processEvent('found', from, from, shape.beginning));
  for (let first = true; ; first = false) {
    from = (first && !shape.beginning ? from : last) + choices.scaled(1, shape.period);
    if (from > line.end) break;
    const present = [...line.threads].filter(([, moments]) => moments[0]!.at <= from);
    let at = from;
    const threads: ThreadLook[] = [];
    for (const [tid, moments] of present) {
      at += threads.length === 0 ? choices.int(0, 3) : choices.int(1, shape.skew);
      threads.push(threadLook(tid, moments, at));
    }
    at += choices.int(0, 3);
    // The process ended while it was looked at.
    if (at > line.end) break;
    records.push({
      type: 'Look',
      record: { at, notBefore: from, process: PROCESS, threads, micros: at - from, bytesRead: 0 },
    });
    last = at;
  }
  if (exit) {
    records.push(processEvent('gone', last, Math.max(line.end, last) + 1));
  }
  return records;
};

export { START };
