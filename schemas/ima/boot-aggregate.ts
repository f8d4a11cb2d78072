import { createHash } from 'node:crypto';
import type { FileDigest, ImaEntry } from './entry.js';

export const BOOT_AGGREGATE = 'boot_aggregate';

/** The first entry of a list, which ties it to the firmware's PCRs; null if this is not one. */
export const bootAggregateOf = (entry: ImaEntry): FileDigest | null =>
  entry.name === BOOT_AGGREGATE && !entry.violation ? entry.fileDigest : null;

/**
 * Which PCRs the kernel hashes for it: 0-7 with SHA-1, 0-9 with other hashes; kernels before 5.8 took 0-7 always
 * (security/integrity/ima/ima_crypto.c).
 */
export const bootAggregateRanges = (algorithm: string): readonly number[] => (algorithm === 'sha1' ? [7] : [9, 7]);

export type BootAggregateCheck =
  | { readonly result: 'equal'; readonly lastPcr: number }
  | { readonly result: 'different' }
  /** A PCR that it is over is not known. */
  | { readonly result: 'unchecked' };

/**
 * Compares a boot aggregate with PCR values of the bank of its algorithm.
 * @param value of a PCR in that bank; null if it is not known
 */
export const checkBootAggregate = (
  aggregate: FileDigest,
  value: (algorithm: string, pcr: number) => Buffer | null,
): BootAggregateCheck => {
  const { algorithm, digest } = aggregate;
  if (!['sha1', 'sha256', 'sha384', 'sha512'].includes(algorithm)) return { result: 'unchecked' };
  let unknown = false;
  for (const lastPcr of bootAggregateRanges(algorithm)) {
    const values = Array.from({ length: lastPcr + 1 }, (_, pcr) => value(algorithm, pcr));
    if (values.includes(null)) {
      unknown = true;
      continue;
    }
    const hash = createHash(algorithm);
    for (const pcr of values) hash.update(pcr!);
    if (hash.digest().equals(digest)) return { result: 'equal', lastPcr };
  }
  return unknown ? { result: 'unchecked' } : { result: 'different' };
};
