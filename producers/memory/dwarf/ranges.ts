import { Cursor } from '../elf/byte-source.js';
import { AT, FORM } from './constants.js';
import { addressOf, attributeOf, type Die, type Unit } from './unit.js';

const MAX_RANGES = 100_000;
const WINDOW = 64 * 1024;
/** Linkers put this in place of addresses of code that they dropped. */
const TOMBSTONE = 2 ** 64 - 4096;

/** Code, link-time addresses; `high` is behind it. */
export interface Range {
  readonly low: number;
  readonly high: number;
}

const NONE: readonly Range[] = [];

/** The code that an entry covers (DWARF 5, 2.17). Throws DWARF_INVALID. */
export const rangesOf = (die: Die): readonly Range[] => {
  const ranges = attributeOf(die, AT.ranges);
  const low = addressOf(die, AT.lowPc);
  if (ranges !== null && typeof ranges.value === 'number') return rangeList(die.unit, ranges.form, ranges.value);
  const high = attributeOf(die, AT.highPc);
  if (low === null || high === null) return NONE;
  const end = addressOf(die, AT.highPc) ?? low + Number(high.value);
  return usable(low, end) ? [{ low, high: end }] : NONE;
};

/** The low address of an entry that has one besides its ranges: where it is entered. */
export const enteredAt = (die: Die): number | null => {
  const low = addressOf(die, AT.lowPc);
  return low !== null && low > 0 ? low : null;
};

const usable = (low: number, high: number): boolean => low > 0 && low < TOMBSTONE && high > low;

const baseOf = (unit: Unit): number => addressOf(unit.base.root, AT.lowPc) ?? 0;

const rangeList = (unit: Unit, form: number, value: number): readonly Range[] => {
  if (unit.header.version >= 5) {
    // Lists may lie in the split file or, if it only has addresses in its skeleton, in the program.
    const section = unit.file.section('.debug_rnglists');
    let offset = value;
    if (form === FORM.rnglistx) {
      const { offsetSize } = unit.header;
      const base = unit.bases.ranges;
      const bytes = section.bytes(base + value * offsetSize, offsetSize);
      if (bytes.length < offsetSize) return NONE;
      offset = base + (offsetSize === 8 ? Number(bytes.readBigUInt64LE(0)) : bytes.readUInt32LE(0));
    }
    return readRangeList(unit, section.bytes(offset, WINDOW));
  }
  const split = unit.skeleton !== null;
  const offset = split ? unit.base.bases.ranges + value : value;
  return readOldRanges(unit, unit.base.file.section('.debug_ranges').bytes(offset, WINDOW * 4));
};

/** .debug_ranges of DWARF 4. */
const readOldRanges = (unit: Unit, bytes: Buffer): readonly Range[] => {
  const found: Range[] = [];
  const cursor = new Cursor(bytes, 0, bytes.length, 'DWARF_INVALID');
  let base = baseOf(unit);
  while (cursor.end - cursor.at >= 16 && found.length < MAX_RANGES) {
    const low = cursor.u64();
    const high = cursor.u64();
    if (low === 0 && high === 0) break;
    if (low >= TOMBSTONE) base = high;
    else if (usable(base + low, base + high) && low > -1) found.push({ low: base + low, high: base + high });
  }
  return found;
};

/** .debug_rnglists of DWARF 5, 7.25. */
const readRangeList = (unit: Unit, bytes: Buffer): readonly Range[] => {
  const found: Range[] = [];
  const cursor = new Cursor(bytes, 0, bytes.length, 'DWARF_INVALID');
  let base = baseOf(unit);
  const add = (low: number, high: number): void => {
    if (usable(low, high)) found.push({ low, high });
  };
  while (found.length < MAX_RANGES) {
    switch (cursor.u8()) {
      case 0: // end_of_list
        return found;
      case 1: // base_addressx
        base = unit.indexedAddress(cursor.uleb());
        break;
      case 2: // startx_endx
        add(unit.indexedAddress(cursor.uleb()), unit.indexedAddress(cursor.uleb()));
        break;
      case 3: {
        // startx_length
        const low = unit.indexedAddress(cursor.uleb());
        add(low, low + cursor.uleb());
        break;
      }
      case 4: {
        // offset_pair
        const low = base + cursor.uleb();
        add(low, base + cursor.uleb());
        break;
      }
      case 5: // base_address
        base = cursor.u64();
        break;
      case 6: // start_end
        add(cursor.u64(), cursor.u64());
        break;
      case 7: {
        // start_length
        const low = cursor.u64();
        add(low, low + cursor.uleb());
        break;
      }
      default:
        cursor.fail('a range of an unknown kind');
    }
  }
  return found;
};
