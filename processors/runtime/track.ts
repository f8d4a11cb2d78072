import { type Known, UNKNOWN, type Value } from '../../schemas/policy/value.js';
import type { Micros } from '../../schemas/records.js';
import { advance, type Rules, type Stretch } from './belief/advance.js';
import { type Hypothesis, patience, top } from './belief/hypothesis.js';
import type { Call, Source } from './call.js';
import type { Machine, Outcome, Step } from './machine/machine.js';
import { possibleSteps, runStep } from './machine/run.js';
import { callText, describeBelief } from './wording.js';

export type State = 'conforming' | 'violated' | 'undecided';

/** What a track would say; the fold makes a verdict of it. */
export interface Draft {
  readonly state: State;
  readonly at: Micros;
  readonly message: string;
  readonly rests: readonly Source[];
  readonly bindings: Readonly<Record<string, string>>;
  readonly believed: readonly string[];
  readonly probability: number | null;
  readonly numbers: Readonly<Record<string, number>>;
  readonly assumes: readonly string[];
  /** The timer whose deadline decided, −1 for a call. */
  readonly timer: number;
}

/** What a track needs of its policy. */
export interface TrackRules extends Rules {
  /** Parameter names, in the order of arguments. */
  readonly parameters: readonly string[];
  readonly initial: readonly Value[];
  readonly afterViolation: 'latch' | 'stay' | 'reset';
  /** Parts per million. */
  readonly doubtAbove: number;
}

/** A single hypothesis of which everything is known: complete observations from a seen beginning stay here, on the fast path. */
interface Exact {
  configuration: number;
  context: Value[];
  /** Entry time per timer of the machine; Infinity where it was used up. */
  entered: Micros[];
}

/** A posterior does not exist yet: an open doubt weighs fully. */
const CERTAIN = 1_000_000;

/** Deadlines of one silence that belief stops at. */
const MOST_STOPS = 1000;

const START = '$start';
const NOBODY: readonly string[] = [];

/** Reused for every exact step; nothing of it is kept. */
const running = {
  args: [] as readonly (Value | undefined)[],
  context: [] as Value[],
  event: { function: '', at: 0, notBefore: 0, thread: 0, callers: NOBODY },
  slice: null as Value,
};
const errors = { count: 0 };

/**
 * One instance of a machine over one process, or over one slice of it: what innocent runs may be doing, and what has been
 * concluded of it. Calls come in the order of their time.
 */
export class Track {
  readonly #rules: TrackRules;
  started = false;
  state: State | '' = '';
  hypotheses: readonly Hypothesis[] = [];
  exact: Exact | null = null;
  doubt = false;
  /** Violated under `latch`: nothing is judged any more. */
  latched = false;
  relaxed = false;
  errors = 0;
  /** The last call that was taken; seq −1 if there was none. Changed in place: sources of calls are reused. */
  readonly last: { stream: string; seq: number; offset: number } = { stream: '', seq: -1, offset: -1 };
  assumes: readonly string[] = NOBODY;
  /** What was concluded since the owner last emptied it. */
  drafts: Draft[] = [];

  constructor(rules: TrackRules) {
    this.#rules = rules;
  }

  /** The beginning was seen, and coverage runs from it. */
  begin(at: Micros): void {
    this.started = true;
    const { machine, initial, slice } = this.#rules;
    const environment = {
      args: [],
      context: initial as readonly Known[],
      event: { function: START, at, notBefore: at, thread: 0, callers: NOBODY },
      slice,
    };
    const found: Hypothesis[] = [];
    possibleSteps(machine.initial(), environment, (outcome, context) => {
      const times = machine.timers.map((_, timer) => (outcome.entered.includes(timer) ? at : 0));
      found.push({ configuration: outcome.configuration, context, lo: times, hi: times, now: at, unseen: 0, owed: 0 });
    });
    this.#settle(found);
    const start = machine.event(START);
    if (start >= 0)
      this.call(
        {
          events: [start],
          function: START,
          thread: 0,
          callers: NOBODY,
          args: [],
          notBefore: at,
          at,
          source: { stream: '', seq: -1, offset: -1 },
        },
        false,
      );
  }

  /** Attached in mid-run, or something was lost: anything may be. */
  beginUnknown(at: Micros, latest = at): void {
    this.started = true;
    if (this.latched) return;
    this.exact = null;
    this.doubt = false;
    this.hypotheses = top(this.#rules.machine, this.#rules.initial.length, at, latest);
  }

  /** One call of a complete observation. `counts`: it can be a subject's first event. */
  call(call: Call, counts = true): void {
    if (this.latched) return;
    const { exact } = this;
    if (exact === null || call.notBefore !== call.at || call.events.length !== 1 || hasUnknown(call.args))
      this.#believe(call);
    else this.#run(exact, call);
    if (counts) this.#remember(call.source);
  }

  /** A call that may or may not be this instance's: its key is unknown. */
  perhaps(call: Call): void {
    if (!this.latched) this.#believe(call, false);
  }

  /** Only time passed, up to and including `to`. */
  elapse(to: Micros, source: Source): void {
    if (this.latched || !this.started) return;
    if (this.exact !== null) this.#fireDue(this.exact, to, source);
    else this.#elapseBelief(to, source);
  }

  /** The process ended while every innocent run was still bound by a deadline: an obligation that nobody can meet any more. */
  exit(at: Micros, source: Source): void {
    if (this.latched || !this.started) return;
    const { machine } = this.#rules;
    const open = this.#present().every(({ configuration }) =>
      machine.active(configuration).some((timer) => endsBadly(machine.fire(configuration, timer))),
    );
    if (open) this.#violated(at, null, -1, source, 'the process ended before it met its deadline');
  }

  /** A stretch between two looks. */
  stretch(stretch: Stretch, source: Source): void {
    if (this.latched) return;
    if (this.exact !== null) this.#loosen(this.exact, stretch.from);
    this.#advance(stretch, source);
    this.#remember(source);
  }

  /** Earliest instant at which a deadline has passed in some run that is believed; Infinity if none runs. */
  get deadline(): Micros {
    if (this.latched) return Number.POSITIVE_INFINITY;
    if (this.exact !== null) return this.#due(this.exact).at;
    return this.hypotheses.reduce(
      (due, hypothesis) => Math.min(due, patience(this.#rules.machine, hypothesis) + 1),
      Number.POSITIVE_INFINITY,
    );
  }

  clone(): Track {
    const copy = new Track(this.#rules);
    copy.started = this.started;
    copy.state = this.state;
    copy.hypotheses = this.hypotheses;
    copy.exact =
      this.exact === null
        ? null
        : { ...this.exact, context: [...this.exact.context], entered: [...this.exact.entered] };
    copy.doubt = this.doubt;
    copy.latched = this.latched;
    copy.relaxed = this.relaxed;
    copy.errors = this.errors;
    copy.#remember(this.last);
    copy.assumes = this.assumes;
    return copy;
  }

  /** Moves everything but drafts over from another track of the same rules. */
  become(other: Track): void {
    const { started, state, hypotheses, exact, doubt, latched, relaxed, assumes } = other.clone();
    Object.assign(this, { started, state, hypotheses, exact, doubt, latched, relaxed, assumes, errors: other.errors });
    this.#remember(other.last);
  }

  #remember({ stream, seq, offset }: Source): void {
    this.last.stream = stream;
    this.last.seq = seq;
    this.last.offset = offset;
  }

  // --- exact ---

  #due(exact: Exact): { at: Micros; timer: number } {
    const { machine } = this.#rules;
    let at = Number.POSITIVE_INFINITY;
    let timer = -1;
    const active = machine.active(exact.configuration);
    for (let i = 0; i < active.length; i++) {
      const due = exact.entered[active[i]!]! + machine.timers[active[i]!]!.delay;
      if (due < at || (due === at && timer >= 0 && exact.entered[active[i]!]! < exact.entered[timer]!)) {
        at = due;
        timer = active[i]!;
      }
    }
    return { at, timer };
  }

  #fireDue(began: Exact, to: Micros, source: Source): void {
    const { machine, slice } = this.#rules;
    if (machine.timers.length === 0) return;
    let exact = began;
    // A cycle of short deadlines over a long silence would fire for hours: beyond this, belief takes over and widens.
    for (let fired = 0; ; fired++) {
      const due = this.#due(exact);
      if (due.at > to || due.timer < 0) return;
      if (fired > 10_000) {
        this.#loosen(exact, due.at);
        this.elapse(to, source);
        return;
      }
      running.args = [];
      running.event.function = '';
      running.event.at = running.event.notBefore = due.at;
      running.slice = slice;
      const before = exact.context;
      running.context = exact.context = [...before];
      const outcome = runStep(machine.fire(exact.configuration, due.timer), running, errors);
      if (outcome.violation) {
        exact.context = before;
        exact.entered[due.timer] = Number.POSITIVE_INFINITY;
        this.#violated(due.at, null, due.timer, source);
        if (this.latched) return;
        if (this.exact === null) {
          this.elapse(to, source);
          return;
        }
        // A reset: the new run has deadlines of its own.
        exact = this.exact;
      } else {
        if (!outcome.taken) exact.entered[due.timer] = Number.POSITIVE_INFINITY;
        this.#move(exact, outcome, due.at);
      }
    }
  }

  #run(before: Exact, call: Call): void {
    const { machine, tolerant, slice } = this.#rules;
    this.#fireDue(before, call.at, call.source);
    if (this.latched) return;
    const { exact } = this;
    if (exact === null) {
      this.#believe(call);
      return;
    }
    running.args = call.args as readonly (Value | undefined)[];
    running.event.function = call.function;
    running.event.at = running.event.notBefore = call.at;
    running.event.thread = call.thread;
    running.event.callers = call.callers;
    running.slice = slice;
    const step = machine.step(exact.configuration, call.events[0]!);
    // A step that can only end innocently needs no copy to come back to.
    const context = step.is === 'outcome' ? exact.context : [...exact.context];
    running.context = exact.context;
    errors.count = 0;
    const outcome = runStep(step, running, errors);
    this.errors += errors.count;
    if (outcome.violation || (!outcome.taken && !tolerant && !call.function.startsWith('$'))) {
      exact.context = context;
      this.#violated(call.at, call, -1, call.source);
      return;
    }
    this.#move(exact, outcome, call.at);
    if (this.state !== 'conforming' && call.source.seq >= 0)
      this.#conclude('conforming', call.at, 'follows its process', [call.source], {}, -1);
  }

  #move(exact: Exact, outcome: Outcome, at: Micros): void {
    exact.configuration = outcome.configuration;
    const { exited, entered } = outcome;
    for (let i = 0; i < exited.length; i++) exact.entered[exited[i]!] = 0;
    for (let i = 0; i < entered.length; i++) exact.entered[entered[i]!] = at;
  }

  #loosen(exact: Exact, now: Micros): void {
    this.exact = null;
    this.hypotheses = [
      {
        configuration: exact.configuration,
        context: exact.context,
        lo: exact.entered,
        hi: exact.entered,
        now,
        unseen: 0,
        owed: 0,
      },
    ];
  }

  // --- belief ---

  /** Stops at each deadline, as one who is woken at each does: the same is then said whenever it is asked for. */
  #elapseBelief(to: Micros, source: Source): void {
    for (let stops = 0; !this.latched; stops++) {
      if (this.exact !== null) {
        this.#fireDue(this.exact, to, source);
        return;
      }
      const due = this.deadline;
      if (due > to) return;
      // A cycle of short deadlines over a long silence: one stride, which widens where it must.
      const stop = stops < MOST_STOPS ? due : to;
      this.#advance({ from: due, to: stop, settled: stop, seen: [], unseen: [] }, source);
      if (stop !== due || this.deadline <= due) return;
    }
  }

  #believe(call: Call, must = true): void {
    // A timer fires before an event at its instant.
    this.elapse(call.notBefore, call.source);
    if (this.latched) return;
    if (this.exact !== null) this.#loosen(this.exact, 0);
    this.#advance(
      {
        from: call.notBefore - 1,
        to: call.at,
        settled: call.notBefore,
        seen: [{ ...call, args: [...call.args], must, after: 0 }],
        unseen: [],
      },
      call.source,
    );
  }

  #advance(stretch: Stretch, source: Source): void {
    const before = this.hypotheses;
    const next = advance(this.#rules, before, stretch);
    this.errors += next.errors;
    if (next.relaxed) this.relaxed = true;
    if (next.hypotheses.length === 0) {
      const { call, timer } = next.blame;
      this.#violated(call?.at ?? stretch.to, call, call === null ? timer : -1, source);
      return;
    }
    this.#settle(next.hypotheses);
    if (next.bad) this.doubt = true;
    if (this.doubt && next.hypotheses.every(({ configuration }) => configuration === next.hypotheses[0]!.configuration))
      this.doubt = false;
    if (this.state === 'violated' && this.#rules.afterViolation !== 'reset') return;
    const state = this.doubt && CERTAIN >= this.#rules.doubtAbove ? 'undecided' : 'conforming';
    if (state === this.state) return;
    const first = stretch.seen[0] ?? null;
    // Before its first event a subject has nothing to be judged by.
    if (this.state === '' && first === null) return;
    const message =
      state === 'conforming'
        ? 'follows its process'
        : `${first === null ? 'the time that passed' : callText(first, this.#rules.parameters)} fits only some of the runs that explain what was seen`;
    this.#conclude(state, first?.at ?? stretch.to, message, [source], {}, -1);
  }

  /** Back on the fast path as soon as one hypothesis is left of which everything is known. */
  #settle(hypotheses: readonly Hypothesis[]): void {
    const only = hypotheses.length === 1 ? hypotheses[0]! : null;
    const known =
      only !== null &&
      only.unseen === 0 &&
      only.owed === 0 &&
      only.lo.every((lo, i) => lo === only.hi[i]) &&
      !hasUnknown(only.context);
    this.exact = known
      ? { configuration: only.configuration, context: [...only.context] as Value[], entered: [...only.lo] }
      : null;
    this.hypotheses = known ? [] : hypotheses;
  }

  // --- conclusions ---

  #violated(at: Micros, call: Call | null, timer: number, source: Source, why?: string): void {
    const { machine, parameters, afterViolation } = this.#rules;
    const where = describeBelief(machine, this.#present()).join(', ') || 'no state';
    const bindings: Record<string, string> = {};
    if (call !== null)
      call.args.forEach((value, i) => {
        if (value !== undefined && value !== UNKNOWN) bindings[parameters[i]!] = bindingJson(value);
      });
    const what =
      why ??
      (call !== null
        ? `${callText(call, parameters)} is not allowed in ${where}`
        : timer >= 0
          ? `the deadline of ${machine.timers[timer]!.delay / 1000} ms in ${machine.timers[timer]!.state} passed`
          : `no run of the process explains what was seen in ${where}`);
    const { last } = this;
    const rests =
      last.seq < 0 || (last.seq === source.seq && last.stream === source.stream) ? [source] : [last, source];
    if (afterViolation === 'latch') {
      this.exact = null;
      this.hypotheses = [];
      this.latched = true;
      this.doubt = false;
    }
    if (timer >= 0 && this.exact === null)
      this.hypotheses = this.hypotheses.map((hypothesis) => metDeadline(machine, hypothesis, at));
    this.#conclude('violated', at, what, rests, bindings, timer, true);
    if (afterViolation === 'reset') {
      this.doubt = false;
      this.begin(at);
    }
  }

  #conclude(
    state: State,
    at: Micros,
    message: string,
    rests: readonly Source[],
    bindings: Readonly<Record<string, string>>,
    timer: number,
    again = false,
  ): void {
    // Under `stay` a process that violated once does not become conforming by its next legal call.
    if (!again && this.state === 'violated' && this.#rules.afterViolation !== 'reset') return;
    this.state = state;
    const present = this.#present();
    this.drafts.push({
      state,
      at,
      message,
      rests: rests.map((rest) => ({ ...rest })),
      bindings,
      believed: describeBelief(this.#rules.machine, present),
      probability: state === 'undecided' ? CERTAIN : null,
      numbers: {
        hypotheses: present.length,
        unseen: present.reduce(
          (fewest, { unseen }) => Math.min(fewest, unseen),
          present.length === 0 ? 0 : Number.MAX_SAFE_INTEGER,
        ),
        ...(this.errors > 0 ? { expressionErrors: this.errors } : {}),
        ...(this.relaxed ? { relaxed: 1 } : {}),
      },
      assumes: this.assumes,
      timer,
    });
  }

  #present(): readonly { readonly configuration: number; readonly unseen: number }[] {
    return this.exact === null ? this.hypotheses : [{ configuration: this.exact.configuration, unseen: 0 }];
  }
}

/** A deadline that was judged once is not judged again: its timer is used up. */
const metDeadline = (machine: Machine, hypothesis: Hypothesis, at: Micros): Hypothesis => {
  const passed = (hi: Micros, timer: number): boolean => hi + machine.timers[timer]!.delay <= at;
  const active = new Set(machine.active(hypothesis.configuration));
  const used = (times: readonly Micros[]): readonly Micros[] =>
    times.map((time, timer) =>
      active.has(timer) && passed(hypothesis.hi[timer]!, timer) ? Number.POSITIVE_INFINITY : time,
    );
  return { ...hypothesis, lo: used(hypothesis.lo), hi: used(hypothesis.hi) };
};

/** True if whatever the guards say, the step is a violation. */
const endsBadly = (step: Step): boolean => {
  const open = [step];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (at.is === 'choice') open.push(at.yes, at.no);
    else if (at.is === 'assign') open.push(at.next);
    else if (!at.violation) return false;
  }
  return true;
};

const hasUnknown = (values: readonly (Known | undefined)[]): boolean => {
  for (let i = 0; i < values.length; i++) if (values[i] === UNKNOWN) return true;
  return false;
};

const bindingJson = (value: Value): string => {
  if (typeof value === 'bigint') return JSON.stringify(value.toString());
  if (value !== null && typeof value === 'object') return JSON.stringify('value' in value ? value.value : value.hash);
  return JSON.stringify(value);
};
