/** The TPM's wire format is big-endian throughout. */
export const u8 = (n: number): Buffer => Buffer.of(n);

export const u16 = (n: number): Buffer => {
  const bytes = Buffer.allocUnsafe(2);
  bytes.writeUInt16BE(n);
  return bytes;
};

export const u32 = (n: number): Buffer => {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(n >>> 0);
  return bytes;
};

export const u64 = (n: bigint): Buffer => {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigUInt64BE(n);
  return bytes;
};

/** TPM2B: u16 length, then the bytes. */
export const sized = (...parts: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts);
  return Buffer.concat([u16(content.length), content]);
};

/** Bytes of a number, filled up with zeros in front. Longer ones stay as they are. */
export const leftPad = (bytes: Buffer, size: number): Buffer =>
  bytes.length >= size ? bytes : Buffer.concat([Buffer.alloc(size - bytes.length), bytes]);
