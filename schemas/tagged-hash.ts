import { createHash } from 'node:crypto';

const u32be = (n: number): Buffer => {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(n);
  return bytes;
};

/** u64 big-endian, as it stands in tagged hashes. `n` is a non-negative safe integer. */
export const u64be = (n: number): Buffer => {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigUInt64BE(BigInt(n));
  return bytes;
};

/**
 * T(tag, f₁…fₙ) = SHA-256 over tag and fields, each as `u32be length ‖ bytes`; strings as UTF-8.
 * The lengths make the input injective: no two lists of fields share a digest by concatenation.
 */
export const taggedHash = (tag: string, ...fields: readonly (string | Uint8Array)[]): Buffer => {
  const hash = createHash('sha256');
  for (const field of [tag, ...fields]) {
    const bytes = typeof field === 'string' ? Buffer.from(field, 'utf8') : field;
    hash.update(u32be(bytes.length)).update(bytes);
  }
  return hash.digest();
};
