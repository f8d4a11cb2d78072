import type { Micros } from '../../../schemas/records.js';
import type { PcrSelection } from '../../../schemas/tpm/selection.js';
import type { Check } from './check.js';

/** A tick as evidence is held against it. */
export interface Epoch {
  /** Hex. */
  readonly verifier: string;
  readonly number: number;
  /** Challenge leaf in hex. */
  readonly leaf: string;
  readonly issued: Micros;
  readonly k: number;
  readonly selection: PcrSelection | null;
}

/** The tick that evidence answers, and the newest one of the same verifier before it in the partition. */
export interface Answered {
  readonly epoch: Epoch;
  readonly newest: Epoch;
}

/** Newest tick among `epochs` (each verifier's in rising order) that one of the leaves (hex) answers; null: none. */
export const answeredEpoch = (
  leaves: ReadonlySet<string>,
  epochs: ReadonlyMap<string, readonly Epoch[]>,
): Answered | null => {
  let best: Answered | null = null;
  for (const ticks of epochs.values()) {
    const newest = ticks.at(-1);
    const epoch = ticks.findLast(({ leaf }) => leaves.has(leaf));
    if (newest === undefined || epoch === undefined) continue;
    if (best === null || epoch.issued > best.epoch.issued) best = { epoch, newest };
  }
  return best;
};

/** Order is the partition's: what counts is which ticks stand before the evidence, never a host's clock. */
export const epochChecks = (answered: Answered | null): readonly Check[] => [
  ['epoch.leaf', () => (answered === null ? 'it answers no tick of a verifier that is known here' : null)],
  [
    'epoch.old',
    () => {
      if (answered === null) return null;
      const { epoch, newest } = answered;
      const late = newest.number - epoch.number;
      return late <= epoch.k ? null : `it answers tick ${epoch.number}, and tick ${newest.number} stood before it`;
    },
  ],
];
