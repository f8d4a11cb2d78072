import type { RecordSpan } from '../../../schemas/ima/record-span.js';
import type { HostPolicy, Window } from '../../../schemas/policy/host/host-policy.js';

const MAX_KEPT = 100_000;
const MAX_BYTES = 512;

const isTimed = ({ from, until }: Window): boolean => from !== null || until !== null;

/** Whether what the policy says of a file depends on when it is asked. */
const dependsOnTime = (policy: HostPolicy): boolean =>
  policy.signers.some(isTimed) || [...(policy.files?.values() ?? [])].some((references) => references.some(isTimed));

/**
 * Entries, by all that they are, of which a policy has nothing to say: on every host of a fleet that runs the same files. Only
 * remembers what would be found again, so it changes no answer.
 */
export class PlainEntries {
  /** By template: data as latin1. */
  readonly #kept = new Map<string, Set<string>>();
  #count = 0;

  has(template: string, key: string): boolean {
    return this.#kept.get(template)?.has(key) === true;
  }

  add(template: string, key: string): void {
    if (this.#count++ >= MAX_KEPT) {
      this.#kept.clear();
      this.#count = 1;
    }
    let keys = this.#kept.get(template);
    if (keys === undefined) {
      keys = new Set();
      this.#kept.set(template, keys);
    }
    keys.add(key);
  }
}

const byPolicy = new WeakMap<HostPolicy, PlainEntries | null>();

/** null for a policy whose answers depend on time. */
export const plainEntriesOf = (policy: HostPolicy): PlainEntries | null => {
  let known = byPolicy.get(policy);
  if (known === undefined) {
    known = dependsOnTime(policy) ? null : new PlainEntries();
    byPolicy.set(policy, known);
  }
  return known;
};

/** The data as text; null for a violation, of which each counts, and for what is too long to keep. */
export const plainKey = ({ bytes, digestStart, digestEnd, dataStart, dataEnd }: RecordSpan): string | null => {
  if (dataEnd - dataStart > MAX_BYTES) return null;
  for (let at = digestStart; at < digestEnd; at++)
    if (bytes[at] !== 0) return bytes.toString('latin1', dataStart, dataEnd);
  return null;
};
