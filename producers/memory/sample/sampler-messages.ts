import type { Look, Micros, Prediction } from '../../../schemas/records.js';
import type { ReleaseRules } from '../record/release.js';
import type { Budget } from '../schedule/rate-controller.js';

/** What the sampling thread is told once, at its start. */
export interface SamplerSettings {
  /** µs from CLOCK_BOOTTIME to event time. */
  readonly offset: Micros;
  /** Key of hashed values. */
  readonly hashKey: Uint8Array;
  /** Seed of the instants of looks; a new one if absent. */
  readonly seed?: Uint8Array;
  /** [0]: not 0 while messages wait for the sampler. [1]: looks told that the other side has not taken yet. */
  readonly bell: Int32Array;
}

/** What the sampling thread is asked to do. */
export type SamplerRequest =
  /** Processes of one group share its budget. */
  | { readonly is: 'group'; readonly group: string; readonly budget: Budget }
  /** There are none left. */
  | { readonly is: 'ungroup'; readonly group: string }
  | {
      readonly is: 'add';
      readonly id: number;
      readonly group: string;
      readonly pid: number;
      /** Of a process already identified: another one with its number is not taken for it. */
      readonly startTime: string | null;
      /** Glob over the path of the binary: of other programs, also those that the process becomes, no value leaves. */
      readonly binary: string;
      /** Functions and globals whose values are read, and which of them may leave. */
      readonly release: ReleaseRules;
      /** The policy allows to stop the process where a look is not clear otherwise. */
      readonly mayStop: boolean;
      /** The process is about to become another program: only that one is recorded. µs of CLOCK_BOOTTIME to wait for it, or null. */
      readonly becomesUntil: Micros | null;
    }
  | { readonly is: 'remove'; readonly id: number }
  | { readonly is: 'predict'; readonly prediction: Prediction }
  | { readonly is: 'end' };

/** What the sampling thread tells. Times are event times. */
export type SamplerTold =
  | {
      readonly is: 'opened';
      readonly id: number;
      readonly startTime: string;
      readonly binary: string;
      readonly at: Micros;
    }
  | { readonly is: 'failed'; readonly id: number; readonly code: string; readonly message: string }
  | {
      readonly is: 'event';
      readonly id: number;
      readonly kind: 'exec' | 'gone';
      readonly notBefore: Micros;
      readonly at: Micros;
      readonly binary: string;
    }
  | { readonly is: 'look'; readonly id: number; readonly look: Omit<Look, 'stream' | 'seq'> }
  /** Planned looks that were not made. */
  | {
      readonly is: 'gap';
      readonly id: number;
      readonly reason: string;
      readonly notBefore: Micros;
      readonly at: Micros;
      readonly lost: number;
    }
  | { readonly is: 'ended'; readonly lateness: Lateness };

/** µs by which looks came later than planned. */
export interface Lateness {
  readonly median: number;
  readonly p99: number;
  /** Of looks that a prediction asked for. */
  readonly predicted: { readonly median: number; readonly p99: number };
}
