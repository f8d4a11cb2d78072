import { challengeLeaf, sortedLeaves } from '../../schemas/evidence/challenge.js';
import type { Tick } from '../../schemas/records.js';
import { isSigned, type PinnedKeys } from '../../schemas/signed.js';

/** Challenges that one quote answers: they ask for the same registers. */
export interface Challenge {
  /** As the ticks say it; '': the verifier leaves it to the host. */
  readonly selection: string;
  /** Sorted. */
  readonly leaves: readonly Buffer[];
  /** hex ids of the verifiers */
  readonly verifiers: readonly string[];
}

/**
 * Ticks that wait for a quote. The newest of each verifier counts; ticks of verifiers that are not known, or whose number
 * does not increase, do not.
 */
export class Challenges {
  readonly #keys: PinnedKeys;
  readonly #newest = new Map<string, Tick>();
  readonly #waiting = new Map<string, Tick>();

  constructor(keys: PinnedKeys) {
    this.#keys = keys;
  }

  /** True if the tick is to be answered. */
  take(tick: Tick): boolean {
    const verifier = tick.verifierId.toString('hex');
    if (tick.number <= (this.#newest.get(verifier)?.number ?? -1) || !isSigned('Tick', tick, this.#keys)) return false;
    this.#newest.set(verifier, tick);
    this.#waiting.set(verifier, tick);
    return true;
  }

  get waiting(): boolean {
    return this.#waiting.size > 0;
  }

  /** The newest challenge of every verifier, answered or not: what vouches for a new session's key to all of them. */
  get newest(): Pick<Challenge, 'leaves' | 'verifiers'> {
    return joined([...this.#newest.values()]);
  }

  /** What is to be answered now: verifiers who ask for the same registers share one quote. */
  drain(): readonly Challenge[] {
    const bySelection = new Map<string, Tick[]>();
    for (const tick of this.#waiting.values())
      bySelection.set(tick.selection, [...(bySelection.get(tick.selection) ?? []), tick]);
    this.#waiting.clear();
    return [...bySelection].map(([selection, ticks]) => ({ selection, ...joined(ticks) }));
  }
}

const joined = (ticks: readonly Tick[]): Pick<Challenge, 'leaves' | 'verifiers'> => ({
  leaves: sortedLeaves(ticks.map(challengeLeaf)),
  verifiers: ticks.map(({ verifierId }) => verifierId.toString('hex')),
});
