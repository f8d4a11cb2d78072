const EMPTY = 0xc15d213aa4d7a795n;

const TABLE: readonly bigint[] = Array.from({ length: 256 }, (_, i) => {
  let f = BigInt(i);
  for (let bit = 0; bit < 8; bit++) f = (f >> 1n) ^ (EMPTY & -(f & 1n));
  return BigInt.asUintN(64, f);
});

/**
 * CRC-64-AVRO (Avro specification, "Schema Fingerprints") of a schema's Parsing Canonical Form.
 * @returns 8 bytes, little-endian
 */
export const fingerprint = (canonicalForm: string): Buffer => {
  let f = EMPTY;
  for (const byte of Buffer.from(canonicalForm, 'utf8')) f = (f >> 8n) ^ TABLE[Number((f ^ BigInt(byte)) & 0xffn)]!;
  const out = Buffer.allocUnsafe(8);
  out.writeBigUInt64LE(f);
  return out;
};
