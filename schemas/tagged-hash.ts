import { createHash } from 'node:crypto';
import { sha256 } from './sha256.js';

const u32be = (n: number): Buffer => {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(n);
  return bytes;
};

/** u64 big-endian, as it stands in tagged hashes. `n` is a non-negative safe integer. */
export const u64be = (n: number): Buffer => {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeUInt32BE(Math.floor(n / 0x1_0000_0000), 0);
  bytes.writeUInt32BE(n >>> 0, 4);
  return bytes;
};

/** Where the input of a hash is put together, as long as it is short. */
const scratch = Buffer.alloc(16 * 1024);

/**
 * T(tag, f₁…fₙ) = SHA-256 over tag and fields, each as `u32be length ‖ bytes`; strings as UTF-8.
 * The lengths make the input injective: no two lists of fields share a digest by concatenation.
 */
export const taggedHash = (tag: string, ...fields: readonly (string | Uint8Array)[]): Buffer => {
  let most = 4 + 3 * tag.length;
  for (const field of fields) most += 4 + (typeof field === 'string' ? 3 * field.length : field.length);
  if (most > scratch.length) return streamed(tag, fields);
  let end = put(tag, 0);
  for (const field of fields) end = put(field, end);
  return sha256(scratch.subarray(0, end));
};

/** Writes a field into the scratch and gives the place behind it. */
const put = (field: string | Uint8Array, at: number): number => {
  const start = at + 4;
  let length = field.length;
  if (typeof field === 'string') length = scratch.write(field, start, 'utf8');
  else scratch.set(field, start);
  scratch.writeUInt32BE(length, at);
  return start + length;
};

const streamed = (tag: string, fields: readonly (string | Uint8Array)[]): Buffer => {
  const hash = createHash('sha256');
  for (const field of [tag, ...fields]) {
    const bytes = typeof field === 'string' ? Buffer.from(field, 'utf8') : field;
    hash.update(u32be(bytes.length)).update(bytes);
  }
  return hash.digest();
};
