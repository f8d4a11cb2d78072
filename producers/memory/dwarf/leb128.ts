import type { Cursor } from '../elf/byte-source.js';

/** A number where JavaScript keeps it exactly, else a bigint. */
export const narrow = (value: bigint): number | bigint =>
  value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;

const exact = (cursor: Cursor, signed: boolean): number | bigint => {
  const start = cursor.at;
  let low = 0;
  let scale = 1;
  for (let i = 0; i < 7; i++) {
    const byte = cursor.u8();
    low += (byte & 0x7f) * scale;
    scale *= 128;
    if (byte < 0x80) return signed && (byte & 0x40) !== 0 ? low - scale : low;
  }
  cursor.at = start;
  let value = 0n;
  for (let i = 0n; i < 10n; i++) {
    const byte = cursor.u8();
    value |= BigInt(byte & 0x7f) << (7n * i);
    if (byte < 0x80)
      return narrow(
        signed
          ? BigInt.asIntN(64, (byte & 0x40) !== 0 ? value - (1n << (7n * (i + 1n))) : value)
          : BigInt.asUintN(64, value),
      );
  }
  return cursor.fail('a LEB128 number is too long');
};

/** Unsigned LEB128 without loss (DWARF 5, 7.6). */
export const exactUleb = (cursor: Cursor): number | bigint => exact(cursor, false);

/** Signed LEB128 without loss. */
export const exactSleb = (cursor: Cursor): number | bigint => exact(cursor, true);
