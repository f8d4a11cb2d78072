import { type ImaRecord, isZero } from '../../../schemas/ima/entry.js';
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
  readonly #keys = new Set<string>();

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  add(key: string): void {
    if (this.#keys.size >= MAX_KEPT) this.#keys.clear();
    this.#keys.add(key);
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

/** null for a violation, of which each counts, and for what is too long to keep. */
export const plainKey = ({ template, templateDigest, data }: ImaRecord): string | null =>
  data.length > MAX_BYTES || isZero(templateDigest) ? null : `${template} ${data.toString('latin1')}`;
