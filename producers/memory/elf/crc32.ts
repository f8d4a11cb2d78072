import * as zlib from 'node:zlib';

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

const byTable = (bytes: Uint8Array, before: number): number => {
  let crc = ~before;
  for (let i = 0; i < bytes.length; i++) crc = (crc >>> 8) ^ TABLE[(crc ^ bytes[i]!) & 0xff]!;
  return ~crc >>> 0;
};

/** CRC-32 of ISO 3309 as `.gnu_debuglink` has it; `before` is that of the bytes in front. Node has its own from 20.15 on. */
export const crc32: (bytes: Uint8Array, before?: number) => number =
  'crc32' in zlib
    ? (zlib.crc32 as (bytes: Uint8Array, before?: number) => number)
    : (bytes, before = 0) => byTable(bytes, before);
