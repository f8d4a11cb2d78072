import { createHash } from 'node:crypto';

/** Hash of a bank of which a list can be replayed. */
export type ImaBank = 'sha1' | 'sha256' | 'sha384' | 'sha512';

export const IMA_BANKS: readonly ImaBank[] = ['sha1', 'sha256', 'sha384', 'sha512'];

export const BANK_BYTES: Readonly<Record<ImaBank, number>> = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 };

const BY_BYTES: Readonly<Record<number, ImaBank>> = { 20: 'sha1', 32: 'sha256', 48: 'sha384', 64: 'sha512' };

/** Bank whose digests have so many bytes; null if none has. */
export const bankOfBytes = (bytes: number): ImaBank | null => BY_BYTES[bytes] ?? null;

/** Bytes that template `ima` hashes: the digest, and the name padded with NUL. */
export const PLAIN_MESSAGE = 20 + 256;

/** Writes what template `ima` hashes to `into` at `at`; its data are `digest[20] | u32 length | name`. */
export const plainMessage = (data: Buffer, start: number, end: number, into: Buffer, at: number): void => {
  const digest = Math.min(20, end - start);
  data.copy(into, at, start, start + digest);
  into.fill(0, at + digest, at + 20);
  const name = Math.max(0, Math.min(256, end - start - 24));
  data.copy(into, at + 20, start + 24, start + 24 + name);
  into.fill(0, at + 20 + name, at + PLAIN_MESSAGE);
};

/**
 * The template hash: over the data with every length in them; of template `ima` over digest ‖ name padded with NUL to 256
 * bytes, without the length.
 */
export const templateHash = (bank: ImaBank, plain: boolean, data: Buffer): Buffer => {
  if (!plain) return createHash(bank).update(data).digest();
  const message = Buffer.alloc(PLAIN_MESSAGE);
  plainMessage(data, 0, data.length, message, 0);
  return createHash(bank).update(message).digest();
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
