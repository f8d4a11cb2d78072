import type { Attest } from '../../../schemas/tpm/attest.js';
import type { Check } from './check.js';

/** Counters of a TPM as a statement of it carries them. */
export interface Counters {
  readonly resetCount: number;
  readonly restartCount: number;
  readonly clock: bigint;
}

export const countersOf = ({ resetCount, restartCount, clock }: Attest): Counters => ({
  resetCount,
  restartCount,
  clock,
});

const sameBoot = (a: Counters, b: Counters): boolean =>
  a.resetCount === b.resetCount && a.restartCount === b.restartCount;

export const bootCheck = (quote: () => Counters, session: Counters): Check => [
  'boot.changed',
  () => {
    const now = quote();
    return sameBoot(now, session)
      ? null
      : `quoted in boot ${now.resetCount}/${now.restartCount}, certified in boot ${session.resetCount}/${session.restartCount}`;
  },
];

/**
 * The clock rises within a boot only: an unclean loss of power sets it back to what was last saved, and counts as a reset.
 * A reset count that falls is another TPM's, or an older copy's.
 */
export const counterChecks = (now: () => Counters, last: Counters | null): readonly Check[] =>
  last === null
    ? []
    : [
        [
          'identity.rollback',
          () => {
            const { resetCount } = now();
            return resetCount < last.resetCount
              ? `the TPM counted ${last.resetCount} resets before and counts ${resetCount} now`
              : null;
          },
        ],
        [
          'clock.backwards',
          () => {
            const counters = now();
            return sameBoot(counters, last) && counters.clock < last.clock
              ? `its clock went back from ${last.clock} to ${counters.clock} ms within one boot`
              : null;
          },
        ],
      ];
