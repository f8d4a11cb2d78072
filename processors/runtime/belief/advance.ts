import type { Environment } from '../../../schemas/policy/expression.js';
import { type Known, UNKNOWN, type Value } from '../../../schemas/policy/value.js';
import type { Micros } from '../../../schemas/records.js';
import type { Call } from '../call.js';
import type { Machine, Outcome } from '../machine/machine.js';
import { possibleSteps } from '../machine/run.js';
import { Belief, type Hypothesis, isOwed, owedNext, owes, patience, top } from './hypothesis.js';

/** A call that was seen in a stretch. */
export interface SeenCall extends Call {
  /** It certainly started in the stretch; otherwise it may be one that was seen before. */
  readonly must: boolean;
  /** It may lie before calls that the stretch before took in already. */
  readonly early?: boolean;
  /** Bit set of the stretch's calls that started before it. */
  readonly after: number;
}

/** What is known of (from, to]: calls seen, their order, and which functions may have been called unseen. */
export interface Stretch {
  readonly from: Micros;
  readonly to: Micros;
  /** No run is before this when the stretch ends; below `to` where threads were looked at one after the other. */
  readonly settled: Micros;
  readonly seen: readonly SeenCall[];
  /** Event indices of functions that may have been called any number of times without being seen. */
  readonly unseen: readonly UnseenCall[];
  /** Calls after this may be on threads that the look at the end of the stretch had passed: the next look shows them. */
  readonly window?: Micros;
  /** Functions that can have been called only there. */
  readonly windowed?: readonly UnseenCall[];
}

export interface UnseenCall {
  readonly event: number;
  readonly function: string;
  /** All parameters unknown. */
  readonly args: readonly (Known | undefined)[];
}

export interface Rules {
  readonly machine: Machine;
  /** An event without a transition is no fault. */
  readonly tolerant: boolean;
  /** Number of context variables. */
  readonly variables: number;
  readonly slice: Value;
}

export interface Advance {
  /** Empty: no innocent run explains what was seen. */
  readonly hypotheses: readonly Hypothesis[];
  /** A certain call, or a deadline, was a fault in some hypothesis. */
  readonly bad: boolean;
  /** Some set was joined or cut short: wider than the exact answer. */
  readonly relaxed: boolean;
  /** If empty: the first certain call that no innocent run reaches, or the timer that every run had to meet. */
  readonly blame: { readonly call: SeenCall | null; readonly timer: number };
  readonly errors: number;
}

/** Steps explored in one stretch before the rest is given up as unknown: what a hostile gap may cost. */
const EFFORT = 20_000;

/** What is known of a call that nobody saw. */
const ANYTIME = { at: UNKNOWN, notBefore: UNKNOWN, thread: UNKNOWN, callers: UNKNOWN } as const;

/** Reused for every call: guards read it and keep nothing. */
const environment: { -readonly [K in keyof Environment<Known>]: Environment<Known>[K] } = {
  args: [],
  context: [],
  event: { function: '', at: 0, notBefore: 0, thread: 0, callers: [] },
  slice: null,
};

const moved = (
  hypothesis: Hypothesis,
  outcome: Outcome,
  context: readonly Known[],
  lo: Micros,
  hi: Micros,
  unseen: number,
  owed: number,
): Hypothesis => {
  let los = hypothesis.lo;
  let his = hypothesis.hi;
  if (outcome.exited.length > 0 || outcome.entered.length > 0) {
    los = [...los];
    his = [...his];
    for (const timer of outcome.exited) (los as number[])[timer] = (his as number[])[timer] = 0;
    for (const timer of outcome.entered) {
      (los as number[])[timer] = lo;
      (his as number[])[timer] = hi;
    }
  }
  return { configuration: outcome.configuration, context, lo: los, hi: his, now: lo, unseen, owed };
};

/**
 * The innocent hypotheses after a stretch: least set closed under seen calls in any order that the partial order allows, unseen
 * calls anywhere, and timers; then only runs that saw every certain call and whose deadlines lie after the stretch.
 */
export const advance = (rules: Rules, start: readonly Hypothesis[], stretch: Stretch): Advance => {
  const { machine } = rules;
  const { from, to, seen } = stretch;
  if (isStill(machine, start, stretch))
    return {
      hypotheses: start.map((hypothesis) => tighten(machine, hypothesis, stretch.settled)),
      bad: false,
      relaxed: false,
      errors: 0,
      blame: { call: null, timer: -1 },
    };
  const window = stretch.window ?? Number.POSITIVE_INFINITY;
  const all = 2 ** seen.length - 1;
  const beliefs = new Map<number, Belief>();
  const open: { hypothesis: Hypothesis; done: number }[] = [];
  let bad = false;
  let errors = 0;
  let badTimer = -1;
  let union = 0;
  let effort = 0;

  const add = (hypothesis: Hypothesis, done: number): void => {
    let belief = beliefs.get(done);
    if (belief === undefined) {
      belief = new Belief();
      beliefs.set(done, belief);
    }
    const fresh = belief.add(hypothesis);
    if (fresh !== null) {
      open.push({ hypothesis: fresh, done });
      union |= done;
    }
  };

  const timers = (hypothesis: Hypothesis, done: number): void => {
    const active = machine.active(hypothesis.configuration);
    const limit = Math.min(to, patience(machine, hypothesis) + 1);
    for (const timer of active) {
      const { delay } = machine.timers[timer]!;
      const lo = Math.max(hypothesis.lo[timer]! + delay, hypothesis.now);
      const hi = Math.min(hypothesis.hi[timer]! + delay, limit);
      if (lo > hi) continue;
      // Equal exact deadlines fire in the order of their registration.
      if (active.some((other) => other !== timer && outranks(machine, hypothesis, other, timer))) continue;
      const at = lo === hi ? hi : UNKNOWN;
      environment.event = { function: '', at, notBefore: at, thread: 0, callers: [] };
      environment.args = [];
      environment.slice = rules.slice;
      environment.context = hypothesis.context;
      possibleSteps(machine.fire(hypothesis.configuration, timer), environment, (outcome, context, failed) => {
        errors += failed;
        if (outcome.violation) {
          bad = true;
          badTimer = timer;
        } else {
          const fired = moved(hypothesis, outcome, context, lo, hi, hypothesis.unseen, hypothesis.owed);
          add(outcome.taken ? fired : usedUp(fired, timer), done);
        }
      });
    }
  };

  const call = (
    hypothesis: Hypothesis,
    event: number,
    args: readonly (Known | undefined)[],
    facts: Environment<Known>['event'],
    lo: Micros,
    hi: Micros,
    unseen: number,
    owing: Micros,
    reached: (next: Hypothesis) => void,
  ): boolean => {
    const latest = Math.min(hi, patience(machine, hypothesis));
    const earliest = Math.max(lo, hypothesis.now);
    if (earliest > latest) return false;
    environment.event = facts;
    environment.args = args;
    environment.slice = rules.slice;
    let fault = false;
    environment.context = hypothesis.context;
    possibleSteps(machine.step(hypothesis.configuration, event), environment, (outcome, context, failed) => {
      errors += failed;
      if (outcome.violation || (!outcome.taken && !rules.tolerant && !machine.events[event]!.startsWith('$')))
        fault = true;
      else
        reached(
          moved(
            hypothesis,
            outcome,
            context,
            earliest,
            latest,
            unseen,
            latest > owing ? hypothesis.owed | owes(event) : hypothesis.owed,
          ),
        );
    });
    return fault;
  };

  for (const hypothesis of start) add(hypothesis, 0);
  for (let item = open.pop(); item !== undefined; item = open.pop()) {
    if (++effort > EFFORT) break;
    const { hypothesis, done } = item;
    timers(hypothesis, done);
    for (let n = 0; n < seen.length; n++) {
      const bit = 1 << n;
      const one = seen[n]!;
      if ((done & bit) !== 0 || (one.after & ~done) !== 0) continue;
      for (const event of one.events) {
        if (one.early === true && hypothesis.now <= one.at && isOwed(hypothesis, event)) add(hypothesis, done | bit);
        const { notBefore, at, thread, callers } = one;
        const instant = notBefore === at;
        // When an interval holds the call, its instant is not known.
        const facts: Environment<Known>['event'] = {
          function: machine.events[event]!,
          at: instant ? at : UNKNOWN,
          notBefore: instant ? at : UNKNOWN,
          thread,
          callers,
        };
        const fault = call(
          hypothesis,
          event,
          one.args,
          facts,
          notBefore,
          at,
          hypothesis.unseen,
          Number.POSITIVE_INFINITY,
          (next) => add(next, done | bit),
        );
        if (fault && one.must) bad = true;
      }
      if (!one.must) add(hypothesis, done | bit);
    }
    for (const { event, function: name, args } of stretch.unseen)
      call(
        hypothesis,
        event,
        args,
        { ...ANYTIME, function: name },
        from + 1,
        to,
        hypothesis.unseen + 1,
        window,
        (next) => add(next, done),
      );
    for (const { event, function: name, args } of stretch.windowed ?? [])
      call(
        hypothesis,
        event,
        args,
        { ...ANYTIME, function: name },
        window + 1,
        to,
        hypothesis.unseen + 1,
        window,
        (next) => add(next, done),
      );
  }
  if (effort > EFFORT)
    // Given up: the only sound answer left is "anything".
    return {
      hypotheses: top(machine, rules.variables, stretch.settled, to),
      bad,
      relaxed: true,
      errors,
      blame: { call: null, timer: -1 },
    };
  const complete = beliefs.get(all);
  const settled = new Belief();
  for (const hypothesis of complete?.hypotheses ?? []) {
    if (patience(machine, hypothesis) < stretch.settled) continue;
    settled.add(tighten(machine, hypothesis, stretch.settled));
  }
  const relaxed = settled.relaxed || [...beliefs.values()].some((belief) => belief.relaxed);
  return {
    hypotheses: settled.hypotheses,
    bad,
    relaxed,
    errors,
    blame: { call: firstUnreached(seen, union), timer: badTimer },
  };
};

/** True if nothing was called and no timer can have been due. */
const isStill = (machine: Machine, start: readonly Hypothesis[], stretch: Stretch): boolean =>
  stretch.seen.length === 0 &&
  stretch.unseen.length === 0 &&
  (stretch.windowed ?? []).length === 0 &&
  start.every(({ configuration, lo }) =>
    machine.active(configuration).every((timer) => lo[timer]! + machine.timers[timer]!.delay > stretch.to),
  );

/** True if `other` certainly fires before `timer`: both exact, due at the same instant, and registered earlier. */
const outranks = (machine: Machine, hypothesis: Hypothesis, other: number, timer: number): boolean => {
  const { lo, hi } = hypothesis;
  if (lo[other] !== hi[other] || lo[timer] !== hi[timer]) return false;
  const otherDue = lo[other]! + machine.timers[other]!.delay;
  const due = lo[timer]! + machine.timers[timer]!.delay;
  if (otherDue !== due) return otherDue < due;
  const order = machine.active(hypothesis.configuration);
  return lo[other]! < lo[timer]! || (lo[other] === lo[timer] && order.indexOf(other) < order.indexOf(timer));
};

/** A deadline that led nowhere does not come again. */
const usedUp = (hypothesis: Hypothesis, timer: number): Hypothesis => {
  const lo = [...hypothesis.lo];
  const hi = [...hypothesis.hi];
  lo[timer] = hi[timer] = Number.POSITIVE_INFINITY;
  return { ...hypothesis, lo, hi };
};

/** At `now` no timer has fired: none was entered longer ago than its delay. */
const tighten = (machine: Machine, hypothesis: Hypothesis, now: Micros): Hypothesis => {
  const lo = [...hypothesis.lo];
  for (const timer of machine.active(hypothesis.configuration))
    lo[timer] = Math.max(lo[timer]!, now - machine.timers[timer]!.delay + 1);
  return { ...hypothesis, lo, now, owed: owedNext(hypothesis.owed) };
};

const firstUnreached = (seen: readonly SeenCall[], union: number): SeenCall | null => {
  let first: SeenCall | null = null;
  for (let n = 0; n < seen.length; n++) {
    const one = seen[n]!;
    if (one.must && (union & (1 << n)) === 0 && (first === null || one.at < first.at)) first = one;
  }
  return first ?? [...seen].reverse().find(({ must }) => must) ?? null;
};
