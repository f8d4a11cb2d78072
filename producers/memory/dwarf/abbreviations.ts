import { Cursor } from '../elf/byte-source.js';
import { FORM } from './constants.js';
import type { SectionView } from './debug-file.js';
import { exactSleb } from './leb128.js';

const FIRST_TABLE = 64 * 1024;
const MAX_TABLE = 8 * 1024 * 1024;
const MAX_ATTRIBUTES = 512;

/** The shape that many debugging information entries share (DWARF 5, 7.5.3). */
export interface Abbreviation {
  readonly tag: number;
  readonly children: boolean;
  readonly names: readonly number[];
  readonly forms: readonly number[];
  /** Values that stand in the abbreviation itself. */
  readonly implicit: readonly (number | bigint)[];
  /** Bytes of all attributes, by offset size 4 and 8; -1 if they vary. */
  readonly fixed4: number;
  readonly fixed8: number;
}

/** Bytes of a form; -1 if they vary. Addresses have eight. */
export const fixedSize = (form: number, offsetSize: number): number => {
  switch (form) {
    case FORM.flagPresent:
    case FORM.implicitConst:
      return 0;
    case FORM.data1:
    case FORM.flag:
    case FORM.ref1:
    case FORM.strx1:
    case FORM.addrx1:
      return 1;
    case FORM.data2:
    case FORM.ref2:
    case FORM.strx2:
    case FORM.addrx2:
      return 2;
    case FORM.strx3:
    case FORM.addrx3:
      return 3;
    case FORM.data4:
    case FORM.ref4:
    case FORM.strx4:
    case FORM.addrx4:
    case FORM.refSup4:
      return 4;
    case FORM.addr:
    case FORM.data8:
    case FORM.ref8:
    case FORM.refSig8:
    case FORM.refSup8:
      return 8;
    case FORM.data16:
      return 16;
    case FORM.strp:
    case FORM.lineStrp:
    case FORM.secOffset:
    case FORM.refAddr:
    case FORM.strpSup:
    case FORM.gnuRefAlt:
    case FORM.gnuStrpAlt:
      return offsetSize;
    default:
      return -1;
  }
};

const total = (forms: readonly number[], offsetSize: number): number => {
  let size = 0;
  for (const form of forms) {
    const one = fixedSize(form, offsetSize);
    if (one < 0) return -1;
    size += one;
  }
  return size;
};

/** By code. Codes are nearly always 1, 2, 3, …, but need not be. Throws DWARF_INVALID. */
export const readAbbreviations = (section: SectionView, offset: number): ReadonlyMap<number, Abbreviation> => {
  if (section.kept) return readTable(section.bytes(offset, MAX_TABLE));
  // Most tables are small, and how long one is only its end tells.
  const first = section.bytes(offset, FIRST_TABLE);
  if (first.length === FIRST_TABLE)
    try {
      return readTable(first);
    } catch {
      return readTable(section.bytes(offset, MAX_TABLE));
    }
  return readTable(first);
};

const readTable = (bytes: Buffer): ReadonlyMap<number, Abbreviation> => {
  const cursor = new Cursor(bytes, 0, bytes.length, 'DWARF_INVALID');
  const table = new Map<number, Abbreviation>();
  for (let code = cursor.uleb(); code !== 0; code = cursor.uleb()) {
    const tag = cursor.uleb();
    const children = cursor.u8() === 1;
    const names: number[] = [];
    const forms: number[] = [];
    const implicit: (number | bigint)[] = [];
    for (;;) {
      const name = cursor.uleb();
      const form = cursor.uleb();
      const value = form === FORM.implicitConst ? exactSleb(cursor) : 0;
      if (name === 0 && form === 0) break;
      if (names.length >= MAX_ATTRIBUTES) cursor.fail('an abbreviation with too many attributes');
      names.push(name);
      forms.push(form);
      implicit.push(value);
    }
    table.set(code, { tag, children, names, forms, implicit, fixed4: total(forms, 4), fixed8: total(forms, 8) });
    if (cursor.done) break;
  }
  return table;
};
