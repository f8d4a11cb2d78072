import { hashSize } from '../../tpm/algorithms.js';

/** Digest sizes of the kernel's algorithms that the TPM's list does not name. */
const OTHERS: Readonly<Record<string, number>> = { md5: 16, sha224: 28 };

/**
 * The form in which digests are compared: `sha256:HEX`, and `verity:sha256:HEX` for fs-verity's. A word is taken in upper
 * case too. Undefined for what is no digest.
 */
export const referenceDigest = (word: string): string | undefined => {
  const [, verity = '', algorithm, hex] = /^(verity:)?([a-z0-9-]{2,20}):([0-9a-fA-F]{32,128})$/.exec(word) ?? [];
  if (algorithm === undefined || hex === undefined) return undefined;
  const size = hashSize(algorithm.replace('sha3-', 'sha3_')) ?? OTHERS[algorithm];
  return size === hex.length / 2 ? `${verity}${algorithm}:${hex.toLowerCase()}` : undefined;
};
