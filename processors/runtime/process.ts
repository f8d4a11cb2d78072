import { type Known, Opaque, Real, UNKNOWN, type Value } from '../../schemas/policy/value.js';
import type { Micros } from '../../schemas/records.js';
import { type Anchor, Threads } from './coverage/threads.js';
import type { Instance } from './instance.js';
import type { PolicyInForce } from './policies.js';

/** One policy's judgement of one process: one instance, or one per key of the slice. */
export interface Judged {
  readonly policy: PolicyInForce;
  /** By the key's text; '' for a policy without slices. Least recently used first. */
  readonly instances: Map<string, Instance>;
  /** Keys met from now on may have been met before. */
  forgot: boolean;
  evicted: number;
}

export interface Process {
  readonly name: string;
  container: string;
  binary: string;
  image: string;
  /** Complete observations (imported) or looks. */
  complete: boolean;
  /** When it began, if that was seen and is covered; null: unknown. */
  begun: Micros | null;
  readonly threads: Threads;
  anchor: Anchor | null;
  judged: Judged[];
  /** Assignments that were in force, and those that rebase, when `judged` was decided. */
  basis: string;
  rebase: string;
}

export const newProcess = (name: string, complete: boolean, begun: Micros | null): Process => ({
  name,
  container: '',
  binary: '',
  image: '',
  complete,
  begun,
  threads: new Threads(),
  anchor: null,
  judged: [],
  basis: '',
  rebase: '',
});

/** Text of a slice's key: what a verdict shows as `slice`. */
export const sliceText = (key: Value): string => {
  if (key === null) return '';
  if (key instanceof Real) return String(key.value);
  if (key instanceof Opaque) return key.hash;
  return String(key);
};

/** Key of the slice that a call belongs to: null if the policy has no slices, `all` for a call without a key of its own. */
export const sliceOf = (
  judged: Judged,
  args: readonly (Known | undefined)[],
  place: number,
  thread: number,
): Known | 'all' | null => {
  const { slice } = judged.policy.policy;
  if (slice === null) return null;
  if (slice.by === 'thread') return thread;
  if (place < 0) return 'all';
  return args[place] ?? UNKNOWN;
};
