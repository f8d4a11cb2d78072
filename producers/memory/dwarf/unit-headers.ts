import { AttestreamError } from '../../../schemas/errors.js';
import { Cursor } from '../elf/byte-source.js';
import { UNIT } from './constants.js';
import type { SectionView } from './debug-file.js';
import type { UnitHeader } from './unit.js';

const MAX_UNITS = 1_000_000;
const HEADER = 48;

/** Headers of the units in .debug_info (or .debug_types), passing over those of other versions. Throws DWARF_INVALID. */
export const readUnitHeaders = (section: SectionView, types: boolean): UnitHeader[] => {
  const found: UnitHeader[] = [];
  for (let start = 0; start + 11 <= section.size; ) {
    if (found.length >= MAX_UNITS) throw new AttestreamError('DWARF_INVALID', 'too many units', { offset: start });
    const { header, end } = readUnitHeader(section, start, types);
    if (header !== null) found.push(header);
    start = end;
  }
  return found;
};

/** Null for versions and address sizes that are not read. */
export const readUnitHeader = (
  section: SectionView,
  start: number,
  types: boolean,
): { readonly header: UnitHeader | null; readonly end: number } => {
  const bytes = section.bytes(start, HEADER);
  const cursor = new Cursor(bytes, 0, bytes.length, 'DWARF_INVALID');
  let length = cursor.u32();
  const offsetSize = length === 0xffffffff ? 8 : 4;
  if (offsetSize === 8) length = cursor.u64();
  const end = start + cursor.at + length;
  if (!(end <= section.size) || length < 7)
    throw new AttestreamError('DWARF_INVALID', 'a unit that ends outside of its section', { offset: start });
  const version = cursor.u16();
  const wide = (): number => (offsetSize === 8 ? cursor.u64() : cursor.u32());
  if (version < 2 || version > 5) return { header: null, end };
  let type: number = types ? UNIT.type : UNIT.compile;
  let abbreviations: number;
  let addressSize: number;
  if (version === 5) {
    type = cursor.u8();
    addressSize = cursor.u8();
    abbreviations = wide();
  } else {
    abbreviations = wide();
    addressSize = cursor.u8();
  }
  if (addressSize !== 8 || type < UNIT.compile || type > UNIT.splitType) return { header: null, end };
  let signature: bigint | null = null;
  let typeAt = 0;
  const typed = type === UNIT.type || type === UNIT.splitType;
  if (typed || type === UNIT.skeleton || type === UNIT.splitCompile) {
    const at = cursor.at;
    cursor.skip(8);
    signature = bytes.readBigUInt64LE(at);
    if (typed) typeAt = start + wide();
  }
  return { header: { start, end, version, offsetSize, type, size: cursor.at, abbreviations, signature, typeAt }, end };
};
