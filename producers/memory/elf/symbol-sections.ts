import { type ByteSource, sourceOfBuffer } from './byte-source.js';
import { bytesAt, type Elf, PT_DYNAMIC, type Section, sectionBytes } from './elf.js';

const SHF_COMPRESSED = 0x800;
const SHT_NOBITS = 8;
const ENTRY = 24;
/** More symbols than any program has; a table that claims more is read so far. */
const MAX_SYMBOLS = 4_000_000;
const MAX_DYNAMIC = 64 * 1024;

const DT_HASH = 4;
const DT_STRTAB = 5;
const DT_SYMTAB = 6;
const DT_STRSZ = 10;
const DT_GNU_HASH = 0x6ffffef5;

/** A table of symbols as the file has it: entries of 24 bytes, and the text that they take their names from. */
export interface SymbolEntries {
  readonly bytes: Buffer;
  readonly names: ByteSource;
  /** Holds local symbols too, so that what lies between two of them belongs to the first. */
  readonly full: boolean;
}

const NONE: SymbolEntries = { bytes: Buffer.alloc(0), names: sourceOfBuffer(Buffer.alloc(0)), full: false };

/** Text of names, read from the file when a name is wanted: most never are. */
const namesOf = (elf: Elf, section: Section | undefined): ByteSource => {
  if (section === undefined || section.type === SHT_NOBITS) return NONE.names;
  if ((section.flags & SHF_COMPRESSED) !== 0) return sourceOfBuffer(sectionBytes(elf, section));
  const { offset, size } = section;
  return { size, read: (at, length) => elf.source.read(offset + at, Math.max(0, Math.min(length, size - at))) };
};

const entriesOf = (elf: Elf, name: '.symtab' | '.dynsym'): SymbolEntries => {
  const section = elf.sections.find((one) => one.name === name && one.type !== SHT_NOBITS && one.size >= ENTRY);
  if (section === undefined) return NONE;
  const readable = { ...section, size: Math.min(section.size, MAX_SYMBOLS * ENTRY) };
  return {
    bytes:
      (section.flags & SHF_COMPRESSED) !== 0
        ? sectionBytes(elf, section)
        : elf.source.read(readable.offset, readable.size),
    names: namesOf(elf, elf.sections[section.link]),
    full: name === '.symtab',
  };
};

/** The dynamic linker's view, which needs no section headers: addresses of the tables stand in PT_DYNAMIC. */
const loaded = (elf: Elf): SymbolEntries => {
  const segment = elf.segments.find(({ type }) => type === PT_DYNAMIC);
  if (segment === undefined) return NONE;
  const dynamic = elf.source.read(segment.offset, Math.min(segment.fileSize, MAX_DYNAMIC));
  const values = new Map<number, number>();
  for (let at = 0; at + 16 <= dynamic.length; at += 16) {
    const tag = Number(dynamic.readBigInt64LE(at));
    if (tag === 0) break;
    values.set(tag, Number(dynamic.readBigUInt64LE(at + 8)));
  }
  const symbols = values.get(DT_SYMTAB);
  const strings = values.get(DT_STRTAB);
  if (symbols === undefined || strings === undefined) return NONE;
  const count = Math.min(
    MAX_SYMBOLS,
    values.has(DT_GNU_HASH) ? countByGnuHash(elf, values.get(DT_GNU_HASH)!) : countByHash(elf, values.get(DT_HASH)),
  );
  return {
    bytes: bytesAt(elf, symbols, count * ENTRY),
    names: sourceOfBuffer(bytesAt(elf, strings, values.get(DT_STRSZ) ?? 0)),
    full: false,
  };
};

const countByHash = (elf: Elf, vaddr: number | undefined): number => {
  const bytes = vaddr === undefined ? Buffer.alloc(0) : bytesAt(elf, vaddr, 8);
  return bytes.length < 8 ? 0 : bytes.readUInt32LE(4);
};

/** The table does not say how many symbols there are: the chain of the last bucket ends at the last one. */
const countByGnuHash = (elf: Elf, vaddr: number): number => {
  const head = bytesAt(elf, vaddr, 16);
  if (head.length < 16) return 0;
  const buckets = head.readUInt32LE(0);
  const first = head.readUInt32LE(4);
  const bloom = head.readUInt32LE(8);
  const table = bytesAt(elf, vaddr + 16 + bloom * 8, Math.min(buckets, MAX_SYMBOLS) * 4);
  let last = 0;
  for (let at = 0; at + 4 <= table.length; at += 4) last = Math.max(last, table.readUInt32LE(at));
  if (last < first) return first;
  const chains = vaddr + 16 + bloom * 8 + buckets * 4;
  for (; last - first < MAX_SYMBOLS; last++) {
    const link = bytesAt(elf, chains + (last - first) * 4, 4);
    if (link.length < 4 || (link.readUInt32LE(0) & 1) === 1) break;
  }
  return last + 1;
};

/** Symbols that programs and libraries give each other: what `strip` leaves. Throws ELF_INVALID. */
export const dynamicEntries = (elf: Elf): SymbolEntries => {
  const dynamic = entriesOf(elf, '.dynsym');
  return dynamic.bytes.length > 0 ? dynamic : loaded(elf);
};

/** `.symtab`, which holds what `.dynsym` holds and more; else `.dynsym`; else what the dynamic linker would find. Throws ELF_INVALID. */
export const symbolEntries = (elf: Elf): SymbolEntries => {
  const full = entriesOf(elf, '.symtab');
  return full.bytes.length > 0 ? full : dynamicEntries(elf);
};

const NAME_LIMIT = 1024;

/** A name without its version; read to its end or 1024 bytes. */
export const symbolName = (names: ByteSource, at: number): string => {
  // Most names are short: one small read does.
  let bytes = names.read(at, 128);
  if (bytes.length === 128 && bytes.indexOf(0) < 0) bytes = names.read(at, NAME_LIMIT);
  const nul = bytes.indexOf(0);
  const name = bytes.toString('utf8', 0, nul < 0 ? bytes.length : nul);
  const version = name.indexOf('@');
  return version > 0 ? name.slice(0, version) : name;
};

const CHUNK = 1024 * 1024;

/** Offsets at which `name` stands as an entry's name can: ended by NUL or a version. Linkers let names share their tails. */
export const nameOffsets = (names: ByteSource, name: string): ReadonlySet<number> => {
  const found = new Set<number>();
  const wanted = Buffer.from(name, 'utf8');
  if (wanted.length === 0 || wanted.length > NAME_LIMIT) return found;
  for (let base = 0; base < names.size; base += CHUNK) {
    const bytes = names.read(base, CHUNK + wanted.length + 1);
    if (bytes.length === 0) break;
    for (let at = bytes.indexOf(wanted); at >= 0; at = bytes.indexOf(wanted, at + 1)) {
      const end = bytes[at + wanted.length];
      if (end === 0 || end === 0x40) found.add(base + at);
    }
  }
  return found;
};

/** Link-time address of the first defined symbol of that name, whatever its type; null if there is none. */
export const symbolValue = ({ bytes, names }: SymbolEntries, name: string): number | null => {
  const offsets = nameOffsets(names, name);
  if (offsets.size === 0) return null;
  for (let at = 0; at + ENTRY <= bytes.length; at += ENTRY)
    if (offsets.has(bytes.readUInt32LE(at)) && bytes.readUInt16LE(at + 6) !== 0)
      return Number(bytes.readBigUInt64LE(at + 8));
  return null;
};
