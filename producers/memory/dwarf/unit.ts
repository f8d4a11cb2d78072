import { Cursor } from '../elf/byte-source.js';
import { type Abbreviation, fixedSize } from './abbreviations.js';
import { AT, FORM, LANGUAGE_CPP, LANGUAGE_RUST, UNIT } from './constants.js';
import type { DebugFile, SectionView } from './debug-file.js';
import type { DebugInfo } from './debug-info.js';
import { exactSleb, exactUleb } from './leb128.js';

/** An attribute as it stands in the file; what it means depends on its form. Strings are offsets or indices here. */
export type RawValue = number | bigint | Buffer;

/** A debugging information entry. */
export interface Die {
  readonly unit: Unit;
  /** Within the section. */
  readonly offset: number;
  readonly tag: number;
  readonly abbreviation: Abbreviation;
  readonly values: readonly RawValue[];
  /** Where the entry after it begins: its first child, if it has children. */
  readonly next: number;
}

export interface UnitHeader {
  readonly start: number;
  readonly end: number;
  readonly version: number;
  readonly offsetSize: 4 | 8;
  readonly type: number;
  /** Length of the header. */
  readonly size: number;
  readonly abbreviations: number;
  /** Of a type unit, or of what a skeleton stands for; null otherwise. */
  readonly signature: bigint | null;
  /** Section offset of the type that a type unit describes. */
  readonly typeAt: number;
}

/** Offsets of one unit's shares in the sections of a package file; all 0 elsewhere. */
export interface Shares {
  readonly abbreviations: number;
  readonly line: number;
  readonly lists: number;
  readonly strings: number;
  readonly ranges: number;
}

export const NO_SHARES: Shares = { abbreviations: 0, line: 0, lists: 0, strings: 0, ranges: 0 };

const MAX_UNIT = 256 * 1024 * 1024;
const MAX_DIES_KEPT = 20_000;
const MAX_CHAIN = 16;

/** One unit of .debug_info or .debug_types; entries are read at the moment they are asked for. */
export class Unit {
  readonly info: DebugInfo;
  readonly file: DebugFile;
  readonly header: UnitHeader;
  /** Of a split unit: the unit in the program that stands for it. */
  readonly skeleton: Unit | null;
  readonly shares: Shares;
  readonly #section: SectionView;
  readonly #dies = new Map<number, Die>();
  #bytes: Buffer | null = null;
  #table: ReadonlyMap<number, Abbreviation> | null = null;
  #bases: { strings: number; addresses: number; lists: number; ranges: number } | null = null;
  #split: Unit | null | undefined;
  #language: number | null = null;

  constructor(
    info: DebugInfo,
    file: DebugFile,
    section: SectionView,
    header: UnitHeader,
    skeleton: Unit | null = null,
    shares: Shares = NO_SHARES,
  ) {
    this.info = info;
    this.file = file;
    this.#section = section;
    this.header = header;
    this.skeleton = skeleton;
    this.shares = shares;
  }

  /** Where the unit's contents are: in a split file if it was split off and that file is there. */
  get full(): Unit {
    if (this.#split === undefined) {
      this.#split = null;
      this.#split = this.info.splitUnit(this);
    }
    return this.#split ?? this;
  }

  /** The unit in the program itself, whose addresses and ranges count. */
  get base(): Unit {
    return this.skeleton ?? this;
  }

  get root(): Die {
    return this.die(this.header.start + this.header.size);
  }

  get language(): number {
    this.#language ??= Number(numberOf(this.root, AT.language) ?? 0);
    return this.#language;
  }

  /** Names of this unit's language join by `::`. */
  get scoped(): boolean {
    return LANGUAGE_CPP.has(this.language) || LANGUAGE_RUST.has(this.language);
  }

  get rust(): boolean {
    return LANGUAGE_RUST.has(this.language);
  }

  get #contents(): Buffer {
    const { start, end } = this.header;
    this.#bytes ??= this.#section.bytes(start, Math.min(end - start, MAX_UNIT));
    return this.#bytes;
  }

  /** Lets go of what can be read again: for units of which only the root was wanted. */
  release(): void {
    if (!this.#section.kept) this.#bytes = null;
  }

  get #abbreviations(): ReadonlyMap<number, Abbreviation> {
    this.#table ??= this.info.abbreviations(this.file, this.header.abbreviations + this.shares.abbreviations);
    return this.#table;
  }

  /** A reader at a section offset of this unit. */
  cursor(offset: number): Cursor {
    const bytes = this.#contents;
    return new Cursor(bytes, offset - this.header.start, bytes.length, 'DWARF_INVALID');
  }

  /** The abbreviation of the entry at the cursor; null at the end of a list of children. */
  enter(cursor: Cursor): Abbreviation | null {
    const code = cursor.uleb();
    if (code === 0) return null;
    const found = this.#abbreviations.get(code);
    return found === undefined ? cursor.fail(`abbreviation ${code} is not defined`) : found;
  }

  /** Throws DWARF_INVALID where no entry can begin. */
  die(offset: number): Die {
    const known = this.#dies.get(offset);
    if (known !== undefined) return known;
    const cursor = this.cursor(offset);
    const abbreviation = this.enter(cursor);
    if (abbreviation === null) return cursor.fail('no entry where one is referred to');
    const { forms, implicit } = abbreviation;
    const values: RawValue[] = new Array(forms.length);
    for (let i = 0; i < forms.length; i++) values[i] = this.#value(cursor, forms[i]!, implicit[i]!);
    const next = cursor.at + this.header.start;
    const die: Die = { unit: this, offset, tag: abbreviation.tag, abbreviation, values, next };
    if (this.#dies.size >= MAX_DIES_KEPT) this.#dies.clear();
    this.#dies.set(offset, die);
    return die;
  }

  /** Moves the cursor behind the attributes of an entry. */
  pass(cursor: Cursor, abbreviation: Abbreviation): void {
    const fixed = this.header.offsetSize === 4 ? abbreviation.fixed4 : abbreviation.fixed8;
    if (fixed >= 0) {
      cursor.skip(fixed);
      return;
    }
    const { forms } = abbreviation;
    for (let i = 0; i < forms.length; i++) this.#skip(cursor, forms[i]!);
  }

  #skip(cursor: Cursor, form: number): void {
    const size = fixedSize(form, this.header.offsetSize);
    if (size >= 0) {
      cursor.skip(size);
      return;
    }
    switch (form) {
      case FORM.exprloc:
      case FORM.block:
        cursor.skip(cursor.uleb());
        break;
      case FORM.block1:
        cursor.skip(cursor.u8());
        break;
      case FORM.string:
        cursor.cstring(0);
        break;
      default:
        this.#value(cursor, form, 0);
    }
  }

  #value(cursor: Cursor, form: number, implicit: number | bigint): RawValue {
    const { start, offsetSize } = this.header;
    switch (form) {
      case FORM.addr:
      case FORM.ref8:
        return cursor.u64() + (form === FORM.ref8 ? start : 0);
      case FORM.data8:
      case FORM.refSig8:
      case FORM.refSup8: {
        const at = cursor.at;
        const value = cursor.u64();
        return value <= Number.MAX_SAFE_INTEGER && form !== FORM.refSig8 ? value : cursor.bytes.readBigUInt64LE(at);
      }
      case FORM.data1:
      case FORM.flag:
      case FORM.strx1:
      case FORM.addrx1:
        return cursor.u8();
      case FORM.data2:
      case FORM.strx2:
      case FORM.addrx2:
        return cursor.u16();
      case FORM.strx3:
      case FORM.addrx3:
        return cursor.u16() + cursor.u8() * 65_536;
      case FORM.data4:
      case FORM.strx4:
      case FORM.addrx4:
      case FORM.refSup4:
        return cursor.u32();
      case FORM.ref1:
        return start + cursor.u8();
      case FORM.ref2:
        return start + cursor.u16();
      case FORM.ref4:
        return start + cursor.u32();
      case FORM.refUdata:
        return start + cursor.uleb();
      case FORM.udata:
        return exactUleb(cursor);
      case FORM.sdata:
        return exactSleb(cursor);
      case FORM.strx:
      case FORM.addrx:
      case FORM.loclistx:
      case FORM.rnglistx:
      case FORM.gnuAddrIndex:
      case FORM.gnuStrIndex:
        return cursor.uleb();
      case FORM.strp:
      case FORM.lineStrp:
      case FORM.secOffset:
      case FORM.refAddr:
      case FORM.strpSup:
      case FORM.gnuRefAlt:
      case FORM.gnuStrpAlt:
        return offsetSize === 8 ? cursor.u64() : cursor.u32();
      case FORM.string: {
        const at = cursor.at;
        cursor.cstring(0);
        return at;
      }
      case FORM.block1:
        return this.#block(cursor, cursor.u8());
      case FORM.block2:
        return this.#block(cursor, cursor.u16());
      case FORM.block4:
        return this.#block(cursor, cursor.u32());
      case FORM.block:
      case FORM.exprloc:
        return this.#block(cursor, cursor.uleb());
      case FORM.data16:
        return this.#block(cursor, 16);
      case FORM.flagPresent:
        return 1;
      case FORM.implicitConst:
        return implicit;
      default:
        return cursor.fail(`attribute form 0x${form.toString(16)} is not known`);
    }
  }

  #block(cursor: Cursor, length: number): Buffer {
    const at = cursor.at;
    cursor.skip(length);
    return cursor.bytes.subarray(at, at + length);
  }

  /** Where this unit's indexed strings, addresses and lists begin. */
  get bases(): {
    readonly strings: number;
    readonly addresses: number;
    readonly lists: number;
    readonly ranges: number;
  } {
    if (this.#bases !== null) return this.#bases;
    // Reading the root may ask for them: what stands there by default must do until then.
    const { version, offsetSize } = this.header;
    const split = this.skeleton !== null || this.header.type >= UNIT.splitCompile;
    const head = version >= 5 ? (offsetSize === 8 ? 16 : 8) : 0;
    const lists = offsetSize === 8 ? 20 : 12;
    const { shares } = this;
    const bases = {
      strings: shares.strings + head,
      addresses: version >= 5 ? head : 0,
      lists: shares.lists + (version >= 5 ? lists : 0),
      ranges: shares.ranges + (version >= 5 ? lists : 0),
    };
    this.#bases = bases;
    const { root } = this;
    if (!split) {
      bases.strings = rawNumber(root, AT.strOffsetsBase) ?? bases.strings;
      bases.lists = rawNumber(root, AT.loclistsBase) ?? bases.lists;
      bases.ranges = rawNumber(root, AT.rnglistsBase) ?? rawNumber(root, AT.gnuRangesBase) ?? bases.ranges;
    }
    bases.addresses = rawNumber(root, AT.addrBase) ?? rawNumber(root, AT.gnuAddrBase) ?? bases.addresses;
    return bases;
  }

  /** An address by its index in .debug_addr; -1 if there is none. */
  indexedAddress(index: number): number {
    const { base } = this;
    const bytes = base.file.section('.debug_addr').bytes(base.bases.addresses + index * 8, 8);
    return bytes.length < 8 ? -1 : bytes.readUInt32LE(0) + bytes.readUInt32LE(4) * 2 ** 32;
  }

  indexedString(index: number): string {
    const { offsetSize } = this.header;
    const bytes = this.file.section('.debug_str_offsets').bytes(this.bases.strings + index * offsetSize, offsetSize);
    if (bytes.length < offsetSize) return '';
    return this.file
      .section('.debug_str')
      .string(offsetSize === 8 ? Number(bytes.readBigUInt64LE(0)) : bytes.readUInt32LE(0));
  }

  inlineString(at: number): string {
    const bytes = this.#contents;
    return new Cursor(bytes, at, bytes.length, 'DWARF_INVALID').cstring();
  }

  /** Entries directly below one, in order. `limit` bounds what hostile input may ask for. */
  children(die: Die, limit = 100_000): Die[] {
    const found: Die[] = [];
    if (!die.abbreviation.children) return found;
    let offset = die.next;
    while (found.length < limit) {
      const cursor = this.cursor(offset);
      if (cursor.done || cursor.bytes[cursor.at] === 0) break;
      const child = this.die(offset);
      found.push(child);
      offset = this.after(child);
    }
    return found;
  }

  /** Section offset behind an entry and all below it. */
  after(die: Die): number {
    if (!die.abbreviation.children) return die.next;
    const sibling = rawNumber(die, AT.sibling);
    // A sibling further back would make the walk endless.
    if (sibling !== null && sibling > die.offset && sibling <= this.header.end) return sibling;
    const cursor = this.cursor(die.next);
    for (let depth = 1; depth > 0 && !cursor.done; ) {
      const abbreviation = this.enter(cursor);
      if (abbreviation === null) depth--;
      else {
        this.pass(cursor, abbreviation);
        if (abbreviation.children) depth++;
      }
    }
    return cursor.at + this.header.start;
  }
}

const indexOf = (die: Die, name: number): number => die.abbreviation.names.indexOf(name);

export const hasAttribute = (die: Die, name: number): boolean => indexOf(die, name) >= 0;

/** Form and value of an attribute; null if the entry has none. */
export const attributeOf = (die: Die, name: number): { readonly form: number; readonly value: RawValue } | null => {
  const i = indexOf(die, name);
  return i < 0 ? null : { form: die.abbreviation.forms[i]!, value: die.values[i]! };
};

const rawNumber = (die: Die, name: number): number | null => {
  const i = indexOf(die, name);
  const value = i < 0 ? undefined : die.values[i];
  return typeof value === 'number' ? value : null;
};

/** A constant; null if absent or not a number. */
export const numberOf = (die: Die, name: number): number | bigint | null => {
  const i = indexOf(die, name);
  const value = i < 0 ? undefined : die.values[i];
  return typeof value === 'number' || typeof value === 'bigint' ? value : null;
};

export const flagOf = (die: Die, name: number): boolean => rawNumber(die, name) === 1;

export const blockOf = (die: Die, name: number): Buffer | null => {
  const i = indexOf(die, name);
  const value = i < 0 ? undefined : die.values[i];
  return Buffer.isBuffer(value) ? value : null;
};

/** '' if absent. */
export const stringOf = (die: Die, name: number): string => {
  const i = indexOf(die, name);
  const value = i < 0 ? undefined : die.values[i];
  if (typeof value !== 'number') return '';
  const { unit } = die;
  switch (die.abbreviation.forms[i]) {
    case FORM.string:
      return unit.inlineString(value);
    case FORM.strp:
      return unit.file.section('.debug_str').string(value);
    case FORM.lineStrp:
      return unit.file.section('.debug_line_str').string(value);
    case FORM.strpSup:
    case FORM.gnuStrpAlt:
      return unit.info.supplement?.file.section('.debug_str').string(value) ?? '';
    default:
      return unit.indexedString(value);
  }
};

/** A link-time address; null if absent. */
export const addressOf = (die: Die, name: number): number | null => {
  const i = indexOf(die, name);
  const value = i < 0 ? undefined : die.values[i];
  if (typeof value !== 'number') return null;
  switch (die.abbreviation.forms[i]) {
    case FORM.addr:
      return value;
    case FORM.addrx:
    case FORM.addrx1:
    case FORM.addrx2:
    case FORM.addrx3:
    case FORM.addrx4:
    case FORM.gnuAddrIndex: {
      const address = die.unit.indexedAddress(value);
      return address < 0 ? null : address;
    }
    default:
      return null;
  }
};

/** The entry that a reference names, wherever it lies; null if absent or out of reach. Throws DWARF_INVALID. */
export const referenceOf = (die: Die, name: number): Die | null => {
  const i = indexOf(die, name);
  const value = i < 0 ? undefined : die.values[i];
  if (value === undefined || Buffer.isBuffer(value)) return null;
  const { unit } = die;
  switch (die.abbreviation.forms[i]) {
    case FORM.refSig8:
      return unit.info.typeOf(BigInt(value), unit);
    case FORM.refSup4:
    case FORM.refSup8:
    case FORM.gnuRefAlt:
      return unit.info.supplement?.dieAt(Number(value)) ?? null;
    case FORM.refAddr:
      // Within a split file such a reference stays in its own unit.
      return inside(unit, Number(value)) && unit.skeleton !== null
        ? unit.die(Number(value))
        : unit.info.dieAt(Number(value));
    default:
      return inside(unit, Number(value)) ? unit.die(Number(value)) : null;
  }
};

const inside = (unit: Unit, offset: number): boolean =>
  offset >= unit.header.start + unit.header.size && offset < unit.header.end;

/** The entry and those that it completes: abstract origins and specifications, nearest first. Bounded, so that cycles end. */
export const chainOf = (die: Die): readonly Die[] => {
  const chain = [die];
  for (let at: Die | null = die; at !== null && chain.length < MAX_CHAIN; ) {
    at = referenceOf(at, AT.abstractOrigin) ?? referenceOf(at, AT.specification);
    if (at === null || chain.includes(at)) break;
    chain.push(at);
  }
  return chain;
};

/** First of a chain that has the attribute. */
export const holderOf = (chain: readonly Die[], name: number): Die | null => {
  for (const die of chain) if (hasAttribute(die, name)) return die;
  return null;
};

/** The entry's type, its own or its origin's; null means `void`. */
export const typeOf = (die: Die): Die | null => {
  const holder = hasAttribute(die, AT.type) ? die : holderOf(chainOf(die), AT.type);
  return holder === null ? null : referenceOf(holder, AT.type);
};
