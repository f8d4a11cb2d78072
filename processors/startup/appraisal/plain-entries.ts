import { areWords, hashOf, viewOf, wordsOf } from '../../../schemas/byte-words.js';
import type { RecordSpan } from '../../../schemas/ima/record-span.js';
import type { HostPolicy, Window } from '../../../schemas/policy/host/host-policy.js';

const MAX_KEPT = 100_000;
const MAX_BYTES = 512;
/** Who chooses an entry's path can make many that hash alike: no more of them are looked through. */
const MAX_ALIKE = 8;

const isTimed = ({ from, until }: Window): boolean => from !== null || until !== null;

/** Whether what the policy says of a file depends on when it is asked. */
const dependsOnTime = (policy: HostPolicy): boolean =>
  policy.signers.some(isTimed) || [...(policy.files?.values() ?? [])].some((references) => references.some(isTimed));

/** An entry by its data in words; entries whose data hash alike hang together. */
interface Kept {
  readonly template: string;
  readonly words: Int32Array;
  readonly length: number;
  readonly next: Kept | undefined;
}

/**
 * Entries, by all that they are, of which a policy has nothing to say: on every host of a fleet that runs the same files. Only
 * remembers what would be found again, so it changes no answer.
 */
export class PlainEntries {
  readonly #kept = new Map<number, Kept>();
  #count = 0;

  has(span: RecordSpan): boolean {
    if (!isKeepable(span)) return false;
    const { template, bytes, dataStart, dataEnd } = span;
    const view = viewOf(bytes);
    const length = dataEnd - dataStart;
    let kept = this.#kept.get(hashOf(view, dataStart, dataEnd));
    for (; kept !== undefined; kept = kept.next)
      if (kept.length === length && kept.template === template && areWords(kept.words, view, dataStart, dataEnd))
        return true;
    return false;
  }

  /** Of an entry that it does not have. */
  add(span: RecordSpan): void {
    if (!isKeepable(span)) return;
    const { template, bytes, dataStart, dataEnd } = span;
    const view = viewOf(bytes);
    const hash = hashOf(view, dataStart, dataEnd);
    const next = this.#kept.get(hash);
    if (depthOf(next) >= MAX_ALIKE) return;
    if (this.#count >= MAX_KEPT) {
      this.#kept.clear();
      this.#count = 0;
    }
    this.#count++;
    const words = wordsOf(view, dataStart, dataEnd);
    this.#kept.set(hash, { template, words, length: dataEnd - dataStart, next: this.#count === 1 ? undefined : next });
  }
}

const depthOf = (kept: Kept | undefined): number => {
  let depth = 0;
  for (let at = kept; at !== undefined; at = at.next) depth++;
  return depth;
};

/** Not a violation, of which each counts, nor what is too long. */
const isKeepable = ({ bytes, digestStart, digestEnd, dataStart, dataEnd }: RecordSpan): boolean => {
  if (dataEnd - dataStart > MAX_BYTES) return false;
  for (let at = digestStart; at < digestEnd; at++) if (bytes[at] !== 0) return true;
  return false;
};

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
