import { createHash } from 'node:crypto';

/** Hash of a bank of which a list can be replayed. */
export type ImaBank = 'sha1' | 'sha256' | 'sha384' | 'sha512';

export const IMA_BANKS: readonly ImaBank[] = ['sha1', 'sha256', 'sha384', 'sha512'];

export const BANK_BYTES: Readonly<Record<ImaBank, number>> = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 };

const BY_BYTES: Readonly<Record<number, ImaBank>> = { 20: 'sha1', 32: 'sha256', 48: 'sha384', 64: 'sha512' };

const PADDING = Buffer.alloc(256);

/**
 * The template hash: over the data with every length in them; of template `ima` over digest ‖ name padded with NUL to 256
 * bytes, without the length.
 */
export const templateHash = (bank: ImaBank, plain: boolean, data: Buffer): Buffer => {
  const hash = createHash(bank);
  if (!plain) return hash.update(data).digest();
  const name = data.subarray(24);
  return hash.update(data.subarray(0, 20)).update(name).update(PADDING.subarray(name.length)).digest();
};

/**
 * Whether `stored` is the template hash of `data`, by the bank of its length; also SHA-1 padded with zeros, where the
 * kernel lacked the bank's hash.
 */
export const isTemplateDigest = (stored: Buffer, plain: boolean, data: Buffer): boolean => {
  const bank = BY_BYTES[stored.length];
  if (bank === undefined) return false;
  if (templateHash(bank, plain, data).equals(stored)) return true;
  if (bank === 'sha1') return false;
  for (let i = 20; i < stored.length; i++) if (stored[i] !== 0) return false;
  return templateHash('sha1', plain, data).equals(stored.subarray(0, 20));
};
