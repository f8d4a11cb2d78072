import { type Known, Opaque, Real, UNKNOWN } from '../../../schemas/policy/value.js';
import type { Micros } from '../../../schemas/records.js';
import type { Configuration, Machine } from '../machine/machine.js';

/**
 * One innocent run's possible present: a configuration, what is known of each context variable, and for each timer of the
 * machine the interval in which its state was entered (a box; difference bounds take its place when zones come).
 * Immutable once it is part of a belief.
 */
export interface Hypothesis {
  readonly configuration: Configuration;
  readonly context: readonly Known[];
  /** Entry time of each timer, lowest and highest; 0 where the timer does not run, Infinity where it was used up. */
  readonly lo: readonly Micros[];
  readonly hi: readonly Micros[];
  /** The earliest instant at which this run can be. */
  readonly now: Micros;
  /** Fewest calls that nobody saw and this run needs. */
  readonly unseen: number;
  /**
   * Bit set of events: calls that this run made while a look went from thread to thread, on threads that it had passed already.
   * The next look shows them. The lower half is of the last look, the upper half of this one.
   */
  readonly owed: number;
}

/** Width of each half of `owed`: events further on share bits. */
const OWED_BITS = 15;
const ALL_OWED = 2 ** OWED_BITS - 1;

export const owes = (event: number): number => 1 << (OWED_BITS + (event % OWED_BITS));
export const isOwed = (hypothesis: Hypothesis, event: number): boolean =>
  (hypothesis.owed & (1 << (event % OWED_BITS))) !== 0;
export const owedNext = (owed: number): number => owed >> OWED_BITS;

/** Hypotheses of one configuration before they are joined into one. */
const WIDTH = 8;

export const sameValue = (a: Known, b: Known): boolean =>
  a === b ||
  (a instanceof Real && b instanceof Real && Object.is(a.value, b.value)) ||
  (a instanceof Opaque && b instanceof Opaque && a.hash === b.hash);

/** True if every run of `a` is one of `b`. */
const within = (a: Hypothesis, b: Hypothesis): boolean =>
  b.now <= a.now &&
  (a.owed & ~b.owed) === 0 &&
  a.context.every((value, i) => b.context[i] === UNKNOWN || sameValue(value, b.context[i]!)) &&
  a.lo.every((lo, i) => b.lo[i]! <= lo) &&
  a.hi.every((hi, i) => b.hi[i]! >= hi);

/** The smallest hypothesis of this form that holds both. */
const join = (a: Hypothesis, b: Hypothesis): Hypothesis => ({
  configuration: a.configuration,
  context: a.context.map((value, i) => (sameValue(value, b.context[i]!) ? value : UNKNOWN)),
  lo: a.lo.map((lo, i) => Math.min(lo, b.lo[i]!)),
  hi: a.hi.map((hi, i) => Math.max(hi, b.hi[i]!)),
  now: Math.min(a.now, b.now),
  unseen: Math.min(a.unseen, b.unseen),
  owed: a.owed | b.owed,
});

/** A set of hypotheses, kept maximal, in a fixed order. Grows only: what it once held, it holds for ever, perhaps joined. */
export class Belief {
  readonly #byConfiguration = new Map<Configuration, Hypothesis[]>();
  /** More than WIDTH hypotheses of one configuration met: the belief is wider than it need be. */
  relaxed = false;

  /** Takes a hypothesis in; gives what has to be explored because of it, or null if it was known. */
  add(hypothesis: Hypothesis): Hypothesis | null {
    const known = this.#byConfiguration.get(hypothesis.configuration);
    if (known === undefined) {
      this.#byConfiguration.set(hypothesis.configuration, [hypothesis]);
      return hypothesis;
    }
    for (let i = 0; i < known.length; i++) {
      const other = known[i]!;
      if (within(hypothesis, other)) {
        // The same runs, reached with fewer unseen calls.
        if (hypothesis.unseen < other.unseen) known[i] = { ...other, unseen: hypothesis.unseen };
        return null;
      }
    }
    const kept = known.filter((other) => !within(other, hypothesis));
    kept.push(hypothesis);
    if (kept.length <= WIDTH) {
      this.#byConfiguration.set(hypothesis.configuration, kept);
      return hypothesis;
    }
    this.relaxed = true;
    const joined = kept.reduce(join);
    this.#byConfiguration.set(hypothesis.configuration, [joined]);
    return joined;
  }

  get hypotheses(): readonly Hypothesis[] {
    return [...this.#byConfiguration.keys()]
      .sort((a, b) => a - b)
      .flatMap((configuration) => this.#byConfiguration.get(configuration)!);
  }
}

/** Latest instant before a timer of the hypothesis must have fired (inclusive); Infinity without running timers. */
export const patience = (machine: Machine, hypothesis: Hypothesis): Micros => {
  let latest = Number.POSITIVE_INFINITY;
  for (const timer of machine.active(hypothesis.configuration))
    latest = Math.min(latest, hypothesis.hi[timer]! + machine.timers[timer]!.delay - 1);
  return latest;
};

/**
 * Belief of an unknown beginning: every reachable configuration, every variable unknown, every timer anywhere in its range.
 * The present lies between `now` and `latest`: a look takes its time.
 */
export const top = (machine: Machine, variables: number, now: Micros, latest: Micros): readonly Hypothesis[] =>
  machine.reachable().map((configuration) => {
    const lo = machine.timers.map(() => 0);
    const hi = machine.timers.map(() => 0);
    for (const timer of machine.active(configuration)) {
      lo[timer] = now - machine.timers[timer]!.delay + 1;
      hi[timer] = latest;
    }
    return {
      configuration,
      context: new Array<Known>(variables).fill(UNKNOWN),
      lo,
      hi,
      now,
      unseen: 0,
      owed: latest > now ? ALL_OWED : 0,
    };
  });
