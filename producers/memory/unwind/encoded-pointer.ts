import type { Cursor } from '../elf/byte-source.js';

const OMITTED = 0xff;

/**
 * A pointer in one of the encodings of the Linux Standard Base (DW_EH_PE_*): how it is written in the low four bits, what it
 * is relative to in the next three. `place` is the address of the cursor's first byte, `data` what data-relative ones add to.
 * Indirect pointers come as the address of the pointer: only personalities use them. Throws with the cursor's code.
 */
export const encodedPointer = (cursor: Cursor, encoding: number, place: number, data: number): number => {
  if (encoding === OMITTED) return 0;
  if ((encoding & 0x70) === 0x50) {
    cursor.skip((8 - ((place + cursor.at) % 8)) % 8);
    return cursor.u64();
  }
  const base = baseOf(cursor, encoding, place, data);
  switch (encoding & 0x0f) {
    case 0x00:
    case 0x04:
      return add64(cursor.u64(), base);
    case 0x0c:
      return cursor.i64() + base;
    case 0x03:
      return cursor.u32() + base;
    case 0x0b:
      return cursor.i32() + base;
    case 0x02:
      return cursor.u16() + base;
    case 0x0a:
      return ((cursor.u16() << 16) >> 16) + base;
    case 0x01:
      return cursor.uleb() + base;
    case 0x09:
      return cursor.sleb() + base;
    default:
      return cursor.fail(`pointer encoding ${encoding} is not known`);
  }
};

const baseOf = (cursor: Cursor, encoding: number, place: number, data: number): number => {
  switch (encoding & 0x70) {
    case 0x00:
      return 0;
    case 0x10:
      return place + cursor.at;
    case 0x30:
      return data;
    default:
      return cursor.fail(`pointers relative to what encoding ${encoding} names are not known here`);
  }
};

/** Unsigned eight-byte displacements are negative ones in disguise. */
const add64 = (value: number, base: number): number => (value >= 2 ** 63 ? value - 2 ** 64 + base : value + base);
