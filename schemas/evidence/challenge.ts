import { taggedHash, u64be } from '../tagged-hash.js';

/** leaf = T(attestream/challenge/1, verifierId, u64be number, nonce): a tick as it stands in a quote. */
export const challengeLeaf = (tick: {
  readonly verifierId: Uint8Array;
  readonly number: number;
  readonly nonce: Uint8Array;
}): Buffer => taggedHash('attestream/challenge/1', tick.verifierId, u64be(tick.number), tick.nonce);

/** Leaves in the order in which they are signed: by their bytes, each once. */
export const sortedLeaves = (leaves: readonly Buffer[]): readonly Buffer[] =>
  [...leaves].sort(Buffer.compare).filter((leaf, i, all) => i === 0 || !leaf.equals(all[i - 1]!));
