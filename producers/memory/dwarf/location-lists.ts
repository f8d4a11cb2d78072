import { Cursor } from '../elf/byte-source.js';
import { AT, FORM } from './constants.js';
import { addressOf, attributeOf, type Die, type Unit } from './unit.js';

const MAX_ENTRIES = 20_000;
const WINDOW = 256 * 1024;

/** An expression that holds for the code between two link-time addresses. */
export interface LocationEntry {
  readonly low: number;
  readonly high: number;
  readonly expression: Buffer;
}

/** Where an object is: one expression for all its life, one for each stretch of code, or nowhere. */
export type Location =
  | { readonly kind: 'always'; readonly expression: Buffer }
  | { readonly kind: 'list'; readonly entries: readonly LocationEntry[] }
  | { readonly kind: 'none' };

const NOWHERE: Location = { kind: 'none' };
const EVERYWHERE = Number.POSITIVE_INFINITY;

/** The location that an attribute gives (DWARF 5, 2.6). Throws DWARF_INVALID. */
export const locationOf = (die: Die, name: number = AT.location): Location => {
  const found = attributeOf(die, name);
  if (found === null) return NOWHERE;
  if (Buffer.isBuffer(found.value))
    return found.value.length === 0 ? NOWHERE : { kind: 'always', expression: found.value };
  return { kind: 'list', entries: readList(die.unit, found.form, Number(found.value)) };
};

/** The expression that holds at a link-time address; null where the object is nowhere. */
export const expressionAt = (location: Location, vaddr: number): Buffer | null => {
  if (location.kind === 'always') return location.expression;
  if (location.kind === 'none') return null;
  let fallback: Buffer | null = null;
  for (const { low, high, expression } of location.entries) {
    if (high === EVERYWHERE) fallback = expression;
    else if (vaddr >= low && vaddr < high) return expression.length === 0 ? null : expression;
  }
  return fallback;
};

const readList = (unit: Unit, form: number, value: number): readonly LocationEntry[] => {
  const base = addressOf(unit.base.root, AT.lowPc) ?? 0;
  if (unit.header.version < 5) {
    const section = unit.file.section('.debug_loc');
    const bytes = section.bytes(unit.shares.lists + value, WINDOW);
    return unit.skeleton === null ? readOld(bytes, base) : readOldSplit(unit, bytes, base);
  }
  const section = unit.file.section('.debug_loclists');
  let offset = value;
  if (form === FORM.loclistx) {
    const { offsetSize } = unit.header;
    const lists = unit.bases.lists;
    const bytes = section.bytes(lists + value * offsetSize, offsetSize);
    if (bytes.length < offsetSize) return [];
    offset = lists + (offsetSize === 8 ? Number(bytes.readBigUInt64LE(0)) : bytes.readUInt32LE(0));
  }
  return readLocationList(unit, section.bytes(offset, WINDOW), base);
};

const block = (cursor: Cursor, length: number): Buffer => {
  const at = cursor.at;
  cursor.skip(length);
  return cursor.bytes.subarray(at, at + length);
};

/** .debug_loc of DWARF 4. */
const readOld = (bytes: Buffer, start: number): readonly LocationEntry[] => {
  const found: LocationEntry[] = [];
  const cursor = new Cursor(bytes, 0, bytes.length, 'DWARF_INVALID');
  let base = start;
  while (found.length < MAX_ENTRIES) {
    const at = cursor.at;
    const low = cursor.u64();
    const high = cursor.u64();
    if (low === 0 && high === 0) break;
    if (bytes.readBigUInt64LE(at) === 0xffff_ffff_ffff_ffffn) base = high;
    else found.push({ low: base + low, high: base + high, expression: block(cursor, cursor.u16()) });
  }
  return found;
};

/** .debug_loc.dwo of GNU's split DWARF 4. */
const readOldSplit = (unit: Unit, bytes: Buffer, start: number): readonly LocationEntry[] => {
  const found: LocationEntry[] = [];
  const cursor = new Cursor(bytes, 0, bytes.length, 'DWARF_INVALID');
  let base = start;
  while (found.length < MAX_ENTRIES) {
    const kind = cursor.u8();
    if (kind === 0) break;
    if (kind === 1) {
      base = unit.indexedAddress(cursor.uleb());
      continue;
    }
    let low: number;
    let high: number;
    if (kind === 2) {
      low = unit.indexedAddress(cursor.uleb());
      high = unit.indexedAddress(cursor.uleb());
    } else if (kind === 3) {
      low = unit.indexedAddress(cursor.uleb());
      high = low + cursor.u32();
    } else if (kind === 4) {
      low = base + cursor.u32();
      high = base + cursor.u32();
    } else return cursor.fail('a location of an unknown kind');
    found.push({ low, high, expression: block(cursor, cursor.u16()) });
  }
  return found;
};

/** .debug_loclists of DWARF 5, 7.7.3. */
const readLocationList = (unit: Unit, bytes: Buffer, start: number): readonly LocationEntry[] => {
  const found: LocationEntry[] = [];
  const cursor = new Cursor(bytes, 0, bytes.length, 'DWARF_INVALID');
  let base = start;
  const add = (low: number, high: number): void => {
    found.push({ low, high, expression: block(cursor, cursor.uleb()) });
  };
  while (found.length < MAX_ENTRIES) {
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
      case 5: // default_location
        add(0, EVERYWHERE);
        break;
      case 6: // base_address
        base = cursor.u64();
        break;
      case 7: // start_end
        add(cursor.u64(), cursor.u64());
        break;
      case 8: {
        // start_length
        const low = cursor.u64();
        add(low, low + cursor.uleb());
        break;
      }
      case 9: // GNU_view_pair: where within one address, which a stopped thread does not tell
        cursor.uleb();
        cursor.uleb();
        break;
      default:
        cursor.fail('a location of an unknown kind');
    }
  }
  return found;
};
