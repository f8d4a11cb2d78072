import { createHash } from 'node:crypto';
import type { HashName } from './algorithms.js';
import { type PcrSelection, selectedRegisters } from './selection.js';

/** The value of one register of one bank. */
export interface PcrValue {
  /** The bank: `sha256`. */
  readonly hash: string;
  readonly pcr: number;
  readonly value: Buffer;
}

/**
 * What a quote's pcrDigest is if the registers hold these values: the digest over all of them in the order of the
 * selection, ascending in each bank. `hash` is that of the *signature*, not of a bank. Null if a value is missing.
 */
export const pcrDigest = (selection: PcrSelection, values: readonly PcrValue[], hash: HashName): Buffer | null => {
  const known = new Map(values.map((value) => [`${value.hash}:${value.pcr}`, value.value]));
  const digest = createHash(hash);
  for (const register of selectedRegisters(selection)) {
    const value = known.get(`${register.hash}:${register.pcr}`);
    if (value === undefined) return null;
    digest.update(value);
  }
  return digest.digest();
};
