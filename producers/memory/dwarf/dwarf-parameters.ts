import { AttestreamError } from '../../../schemas/errors.js';
import { Cursor, stringAt } from '../elf/byte-source.js';
import { type Elf, sectionBytes } from '../elf/elf.js';

/** Larger debug information is not read: the walk would hold up the first look. */
const MAX_INFO = 32 * 1024 * 1024;
const MAX_ENTRIES = 2_000_000;
const MAX_TYPE_STEPS = 16;

const TAG = {
  formalParameter: 0x05,
  enumeration: 0x04,
  pointer: 0x0f,
  reference: 0x10,
  typedef: 0x16,
  base: 0x24,
  constant: 0x26,
  enumerator: 0x28,
  subprogram: 0x2e,
  volatile: 0x35,
  restrict: 0x37,
  rvalueReference: 0x42,
  atomic: 0x47,
} as const;

const AT = {
  location: 0x02,
  name: 0x03,
  byteSize: 0x0b,
  lowPc: 0x11,
  constValue: 0x1c,
  abstractOrigin: 0x31,
  encoding: 0x3e,
  frameBase: 0x40,
  specification: 0x47,
  type: 0x49,
  strOffsetsBase: 0x72,
  addrBase: 0x73,
} as const;

const OP_FBREG = 0x91;
const OP_CALL_FRAME_CFA = 0x9c;

/** What a value's bytes mean. */
export interface ValueShape {
  readonly kind: 'int' | 'uint' | 'bool' | 'char' | 'float' | 'enum' | 'pointer' | 'text' | 'other';
  readonly size: number;
  /** As a person would write it: `int`, `const char *`. */
  readonly name: string;
  readonly names: ReadonlyMap<number, string> | null;
}

export interface FormalParameter {
  readonly name: string;
  readonly shape: ValueShape;
  /** Bytes from the canonical frame address to the parameter's slot; null: `why` tells. */
  readonly slot: number | null;
  readonly why: string;
}

/** Functions by link-time start address. */
export type FunctionParameters = ReadonlyMap<number, readonly FormalParameter[]>;

interface Abbreviation {
  readonly tag: number;
  readonly children: boolean;
  /** attribute, form, implicit constant triples */
  readonly fields: readonly number[];
}

interface Entry {
  tag: number;
  name: string;
  type: number;
  origin: number;
  size: number;
  encoding: number;
  value: number;
  lowPc: number;
  location: Buffer | null;
  located: boolean;
  frameIsCfa: boolean;
  children: number[];
}

interface Unit {
  readonly start: number;
  readonly version: number;
  readonly offsetSize: number;
  readonly addressSize: number;
  strOffsetsBase: number;
  addrBase: number;
}

interface Sections {
  readonly info: Buffer;
  readonly str: Buffer;
  readonly lineStr: Buffer;
  readonly strOffsets: Buffer;
  readonly addr: Buffer;
}

/** Formal parameters of every function with debug information. Throws ELF_INVALID or DWARF_INVALID. */
export const readParameters = (elf: Elf): FunctionParameters => {
  const info = sectionBytes(elf, '.debug_info');
  if (info.length === 0) return new Map();
  if (info.length > MAX_INFO)
    throw new AttestreamError('DWARF_INVALID', `debug information larger than ${MAX_INFO} bytes is not read`);
  const sections: Sections = {
    info,
    str: sectionBytes(elf, '.debug_str'),
    lineStr: sectionBytes(elf, '.debug_line_str'),
    strOffsets: sectionBytes(elf, '.debug_str_offsets'),
    addr: sectionBytes(elf, '.debug_addr'),
  };
  const abbreviations = sectionBytes(elf, '.debug_abbrev');
  const tables = new Map<number, Map<number, Abbreviation>>();
  const entries = new Map<number, Entry>();
  for (let at = 0; at + 11 < info.length; ) at = readUnit(sections, abbreviations, tables, at, entries);
  return collect(entries);
};

const readUnit = (
  sections: Sections,
  abbreviations: Buffer,
  tables: Map<number, Map<number, Abbreviation>>,
  start: number,
  entries: Map<number, Entry>,
): number => {
  const head = new Cursor(sections.info, start, sections.info.length, 'DWARF_INVALID');
  let length = head.u32();
  let offsetSize = 4;
  if (length === 0xffffffff) {
    length = head.u64();
    offsetSize = 8;
  }
  const end = head.at + length;
  const cursor = new Cursor(sections.info, head.at, end, 'DWARF_INVALID');
  const version = cursor.u16();
  const wide = (): number => (offsetSize === 8 ? cursor.u64() : cursor.u32());
  // Other versions and the units of split files are passed over: what they hold is unavailable.
  if (version !== 4 && version !== 5) return end;
  let unitType = 1;
  let table = 0;
  let addressSize = 8;
  if (version === 5) {
    unitType = cursor.u8();
    addressSize = cursor.u8();
    table = wide();
  } else {
    table = wide();
    addressSize = cursor.u8();
  }
  if (addressSize !== 8 || (unitType !== 1 && unitType !== 3)) return end;
  const known = tables.get(table) ?? readAbbreviations(abbreviations, table);
  tables.set(table, known);
  const unit: Unit = { start, version, offsetSize, addressSize, strOffsetsBase: 8, addrBase: 8 };
  walk(sections, unit, known, cursor, entries);
  return end;
};

const readAbbreviations = (bytes: Buffer, offset: number): Map<number, Abbreviation> => {
  const cursor = new Cursor(bytes, offset, bytes.length, 'DWARF_INVALID');
  const table = new Map<number, Abbreviation>();
  for (let code = cursor.uleb(); code !== 0; code = cursor.uleb()) {
    const tag = cursor.uleb();
    const children = cursor.u8() === 1;
    const fields: number[] = [];
    for (;;) {
      const attribute = cursor.uleb();
      const form = cursor.uleb();
      const implicit = form === 0x21 ? cursor.sleb() : 0;
      if (attribute === 0 && form === 0) break;
      fields.push(attribute, form, implicit);
    }
    table.set(code, { tag, children, fields });
  }
  return table;
};

const KEPT = new Set<number>(Object.values(TAG));

const blank = (tag: number): Entry => ({
  tag,
  name: '',
  type: -1,
  origin: -1,
  size: 0,
  encoding: 0,
  value: 0,
  lowPc: -1,
  location: null,
  located: false,
  frameIsCfa: false,
  children: [],
});

/** Depth is a list, not the call stack: hostile nesting costs memory in proportion to the file alone. */
const walk = (
  sections: Sections,
  unit: Unit,
  table: ReadonlyMap<number, Abbreviation>,
  cursor: Cursor,
  entries: Map<number, Entry>,
): void => {
  const parents: (Entry | null)[] = [];
  while (!cursor.done) {
    const at = cursor.at;
    const code = cursor.uleb();
    if (code === 0) {
      parents.pop();
      if (parents.length === 0) return;
      continue;
    }
    const abbreviation = table.get(code);
    if (abbreviation === undefined) {
      cursor.fail(`abbreviation ${code} is not defined`);
      return;
    }
    const entry = blank(abbreviation.tag);
    const { fields } = abbreviation;
    for (let i = 0; i < fields.length; i += 3)
      readField(sections, unit, cursor, entry, fields[i]!, fields[i + 1]!, fields[i + 2]!);
    if (KEPT.has(abbreviation.tag)) {
      if (entries.size >= MAX_ENTRIES) cursor.fail('too many debug information entries');
      entries.set(at, entry);
      const parent = parents.at(-1);
      if (parent != null && (abbreviation.tag === TAG.formalParameter || abbreviation.tag === TAG.enumerator))
        parent.children.push(at);
    }
    if (abbreviation.children) parents.push(KEPT.has(abbreviation.tag) ? entry : null);
    else if (parents.length === 0) return;
  }
};

const readField = (
  sections: Sections,
  unit: Unit,
  cursor: Cursor,
  entry: Entry,
  attribute: number,
  form: number,
  implicit: number,
): void => {
  const value = readForm(sections, unit, cursor, form, implicit);
  if (value === null) return;
  if (typeof value === 'string') {
    if (attribute === AT.name) entry.name = value;
    return;
  }
  if (typeof value !== 'number') {
    if (attribute === AT.location) entry.location = value;
    else if (attribute === AT.frameBase) entry.frameIsCfa = value.length === 1 && value[0] === OP_CALL_FRAME_CFA;
    if (attribute === AT.location) entry.located = true;
    return;
  }
  switch (attribute) {
    case AT.type:
      entry.type = value;
      break;
    case AT.abstractOrigin:
    case AT.specification:
      entry.origin = value;
      break;
    case AT.byteSize:
      entry.size = value;
      break;
    case AT.encoding:
      entry.encoding = value;
      break;
    case AT.constValue:
      entry.value = value;
      break;
    case AT.lowPc:
      entry.lowPc = value;
      break;
    case AT.location:
      entry.located = true;
      break;
    case AT.strOffsetsBase:
      unit.strOffsetsBase = value;
      break;
    case AT.addrBase:
      unit.addrBase = value;
      break;
  }
};

/** One attribute's value: numbers (references made absolute), strings, blocks; null for what is not needed. */
const readForm = (
  sections: Sections,
  unit: Unit,
  cursor: Cursor,
  form: number,
  implicit: number,
): number | string | Buffer | null => {
  const offset = (): number => (unit.offsetSize === 8 ? cursor.u64() : cursor.u32());
  const block = (length: number): Buffer => {
    const at = cursor.at;
    cursor.skip(length);
    return cursor.bytes.subarray(at, at + length);
  };
  const indexed = (bytes: Buffer, base: number, index: number, size: number): number => {
    const at = base + index * size;
    if (!(at >= 0 && at + size <= bytes.length)) return -1;
    return size === 8 ? Number(bytes.readBigUInt64LE(at)) : bytes.readUInt32LE(at);
  };
  const string = (index: number): string =>
    stringAt(sections.str, indexed(sections.strOffsets, unit.strOffsetsBase, index, unit.offsetSize), 1024);
  const u24 = (): number => cursor.u16() + cursor.u8() * 65_536;
  switch (form) {
    case 0x01: // addr
      return cursor.u64();
    case 0x03: // block2
      return block(cursor.u16());
    case 0x04: // block4
      return block(cursor.u32());
    case 0x05: // data2
      return cursor.u16();
    case 0x06: // data4
      return cursor.u32();
    case 0x07: // data8
      return cursor.u64();
    case 0x08: // string
      return cursor.cstring(1024);
    case 0x09: // block
    case 0x18: // exprloc
      return block(cursor.uleb());
    case 0x0a: // block1
      return block(cursor.u8());
    case 0x0b: // data1
    case 0x0c: // flag
      return cursor.u8();
    case 0x0d: // sdata
      return cursor.sleb();
    case 0x0e: // strp
      return stringAt(sections.str, offset(), 1024);
    case 0x1f: // line_strp
      return stringAt(sections.lineStr, offset(), 1024);
    case 0x0f: // udata
      return cursor.uleb();
    case 0x10: // ref_addr
      return offset();
    case 0x11:
      return unit.start + cursor.u8();
    case 0x12:
      return unit.start + cursor.u16();
    case 0x13:
      return unit.start + cursor.u32();
    case 0x14:
      return unit.start + cursor.u64();
    case 0x15: // ref_udata
      return unit.start + cursor.uleb();
    case 0x17: // sec_offset: a location list, a range list or a base
      return offset();
    case 0x19: // flag_present
      return 1;
    case 0x1a: // strx
      return string(cursor.uleb());
    case 0x25:
      return string(cursor.u8());
    case 0x26:
      return string(cursor.u16());
    case 0x27:
      return string(u24());
    case 0x28:
      return string(cursor.u32());
    case 0x1b: // addrx
      return indexed(sections.addr, unit.addrBase, cursor.uleb(), 8);
    case 0x29:
      return indexed(sections.addr, unit.addrBase, cursor.u8(), 8);
    case 0x2a:
      return indexed(sections.addr, unit.addrBase, cursor.u16(), 8);
    case 0x2b:
      return indexed(sections.addr, unit.addrBase, u24(), 8);
    case 0x2c:
      return indexed(sections.addr, unit.addrBase, cursor.u32(), 8);
    case 0x1e: // data16
      cursor.skip(16);
      return null;
    case 0x21: // implicit_const
      return implicit;
    case 0x22: // loclistx
    case 0x23: // rnglistx
      return cursor.uleb();
    case 0x20: // ref_sig8
      cursor.skip(8);
      return null;
    case 0x1c: // ref_sup4
    case 0x1d: // strp_sup
    case 0x1f20: // GNU_ref_alt
    case 0x1f21: // GNU_strp_alt
      if (form === 0x1c) cursor.skip(4);
      else offset();
      return null;
    case 0x24: // ref_sup8
      cursor.skip(8);
      return null;
    default:
      return cursor.fail(`attribute form ${form} is not known`);
  }
};

const collect = (entries: ReadonlyMap<number, Entry>): FunctionParameters => {
  const functions = new Map<number, readonly FormalParameter[]>();
  const shapes = new Map<number, ValueShape>();
  for (const entry of entries.values()) {
    if (entry.tag !== TAG.subprogram || entry.lowPc < 0) continue;
    functions.set(
      entry.lowPc,
      entry.children.flatMap((at) => {
        const parameter = entries.get(at);
        if (parameter === undefined) return [];
        const origin = entries.get(parameter.origin);
        const type = parameter.type >= 0 ? parameter.type : (origin?.type ?? -1);
        let shape = shapes.get(type);
        if (shape === undefined) {
          shape = shapeOf(entries, type);
          shapes.set(type, shape);
        }
        return [{ name: parameter.name || origin?.name || '', shape, ...slotOf(entry, parameter) }];
      }),
    );
  }
  return functions;
};

const slotOf = (owner: Entry, parameter: Entry): { slot: number | null; why: string } => {
  if (!parameter.located) return { slot: null, why: 'optimised away' };
  if (parameter.location === null) return { slot: null, why: 'its place changes within the function' };
  if (!owner.frameIsCfa) return { slot: null, why: 'the frame base is not the frame address' };
  if (parameter.location[0] !== OP_FBREG) return { slot: null, why: 'not in a slot of the frame' };
  const cursor = new Cursor(parameter.location, 1, parameter.location.length, 'DWARF_INVALID');
  const slot = cursor.sleb();
  return cursor.done ? { slot, why: '' } : { slot: null, why: 'not in a slot of the frame' };
};

const OTHER: ValueShape = { kind: 'other', size: 0, name: '?', names: null };

const ENCODINGS: Readonly<Record<number, ValueShape['kind']>> = {
  2: 'bool',
  4: 'float',
  5: 'int',
  6: 'char',
  7: 'uint',
  8: 'uint',
  16: 'uint',
};

const shapeOf = (entries: ReadonlyMap<number, Entry>, type: number): ValueShape => {
  let alias = '';
  for (let steps = 0, at = type; steps < MAX_TYPE_STEPS; steps++) {
    const entry = entries.get(at);
    if (entry === undefined) return OTHER;
    switch (entry.tag) {
      case TAG.typedef:
        alias ||= entry.name;
        at = entry.type;
        continue;
      case TAG.constant:
      case TAG.volatile:
      case TAG.restrict:
      case TAG.atomic:
        at = entry.type;
        continue;
      case TAG.base: {
        const kind = ENCODINGS[entry.encoding];
        if (kind === undefined || entry.size < 1 || entry.size > 8) return { ...OTHER, name: alias || entry.name };
        return { kind, size: entry.size, name: alias || entry.name, names: null };
      }
      case TAG.enumeration: {
        if (entry.size < 1 || entry.size > 8) return OTHER;
        const names = new Map<number, string>();
        for (const child of entry.children) {
          const value = entries.get(child);
          if (value !== undefined) names.set(value.value, value.name);
        }
        return { kind: 'enum', size: entry.size, name: alias || `enum ${entry.name}`.trim(), names };
      }
      case TAG.pointer:
      case TAG.reference:
      case TAG.rvalueReference: {
        const target = pointee(entries, entry.type);
        const text = entry.tag === TAG.pointer && target.text;
        return { kind: text ? 'text' : 'pointer', size: 8, name: alias || `${target.name} *`, names: null };
      }
      default:
        return OTHER;
    }
  }
  return OTHER;
};

/** One level more of a pointer's name; deeper ones are not told apart. */
const pointerName = (entries: ReadonlyMap<number, Entry>, type: number): string => {
  const entry = entries.get(type);
  return entry === undefined ? 'void' : entry.name || '?';
};

const pointee = (entries: ReadonlyMap<number, Entry>, type: number): { name: string; text: boolean } => {
  for (let steps = 0, at = type; steps < MAX_TYPE_STEPS; steps++) {
    const entry = entries.get(at);
    if (entry === undefined) return { name: 'void', text: false };
    if (entry.tag === TAG.base) return { name: entry.name, text: entry.size === 1 && [6, 8].includes(entry.encoding) };
    if (entry.name !== '' && entry.tag !== TAG.typedef) return { name: entry.name, text: false };
    if (entry.tag === TAG.pointer) return { name: `${pointerName(entries, entry.type)} *`, text: false };
    at = entry.type;
  }
  return { name: '?', text: false };
};
