import { inflateSync } from 'node:zlib';
import { AttestreamError } from '../../../schemas/errors.js';
import { type ByteSource, Cursor, stringAt } from './byte-source.js';

/** Sections larger than this are not read: nothing that we need comes near it. */
const MAX_SECTION = 64 * 1024 * 1024;
const MAX_NAMES = 4 * 1024 * 1024;
/** Program headers of real files are dozens, sections (with -ffunction-sections in object files) thousands. */
const MAX_SEGMENTS = 4096;
const MAX_SECTIONS = 65_536;
/** Counts that did not fit stand in the first section's header. */
const PN_XNUM = 0xffff;
const SHN_XINDEX = 0xffff;
const PT_LOAD = 1;
export const PT_DYNAMIC = 2;
const PT_NOTE = 4;
const PT_GNU_EH_FRAME = 0x6474e550;
const SHT_NOBITS = 8;
const SHF_COMPRESSED = 0x800;
const NT_GNU_BUILD_ID = 3;

export const EM_X86_64 = 62;
export const EM_AARCH64 = 183;
export const ET_EXEC = 2;
export const ET_DYN = 3;

export interface Segment {
  readonly type: number;
  readonly executable: boolean;
  readonly writable: boolean;
  readonly offset: number;
  readonly vaddr: number;
  readonly fileSize: number;
  readonly memorySize: number;
  readonly align: number;
}

export interface Section {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly vaddr: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly info: number;
}

/** A 64-bit little-endian ELF file, as far as looking needs it. */
export interface Elf {
  readonly source: ByteSource;
  readonly type: number;
  readonly machine: number;
  readonly entry: number;
  readonly segments: readonly Segment[];
  readonly loads: readonly Segment[];
  readonly ehFrameHeader: Segment | null;
  /** None if the file was stripped of their headers or these are damaged: programs run without. */
  readonly sections: readonly Section[];
  /** hex; '' if there is none */
  readonly buildId: string;
}

const invalid = (message: string, offset = 0): never => {
  throw new AttestreamError('ELF_INVALID', message, { offset });
};

/** Throws ELF_INVALID where the headers do not hold together, PROCESS_UNSUPPORTED for another class or byte order. */
export const parseElf = (source: ByteSource): Elf => {
  const head = source.read(0, 64);
  if (head.length < 64 || head.readUInt32BE(0) !== 0x7f454c46) return invalid('no ELF header');
  if (head[4] !== 2 || head[5] !== 1)
    throw new AttestreamError(
      'PROCESS_UNSUPPORTED',
      `only 64-bit little-endian programs can be looked at (ELF class ${head[4]}, byte order ${head[5]})`,
    );
  const cursor = new Cursor(head, 16, 64, 'ELF_INVALID');
  const type = cursor.u16();
  const machine = cursor.u16();
  cursor.skip(4);
  const entry = cursor.u64();
  const segmentsAt = cursor.u64();
  const sectionsAt = cursor.u64();
  cursor.skip(6);
  const segmentSize = cursor.u16();
  const segmentCount = cursor.u16();
  const sectionSize = cursor.u16();
  const sectionCount = cursor.u16();
  const namesIndex = cursor.u16();

  const zeroth = sectionsAt === 0 ? null : readZeroth(source, sectionsAt, sectionSize);
  const segments = readSegments(
    source,
    segmentsAt,
    segmentSize,
    segmentCount === PN_XNUM ? (zeroth?.info ?? 0) : segmentCount,
  );
  const sections = readSections(
    source,
    sectionsAt,
    sectionSize,
    sectionCount === 0 ? (zeroth?.size ?? 0) : sectionCount,
    namesIndex === SHN_XINDEX ? (zeroth?.link ?? 0) : namesIndex,
  );
  return {
    source,
    type,
    machine,
    entry,
    segments,
    loads: segments.filter((segment) => segment.type === PT_LOAD),
    ehFrameHeader: segments.find((segment) => segment.type === PT_GNU_EH_FRAME) ?? null,
    sections,
    buildId: readBuildId(source, segments, sections),
  };
};

const table = (source: ByteSource, at: number, entry: number, count: number, least: number, most: number): Buffer => {
  if (entry < least || count > most) return invalid('header table of an impossible shape', at);
  const bytes = source.read(at, entry * count);
  return bytes.length < entry * count ? invalid('header table outside of the file', at) : bytes;
};

const readZeroth = (
  source: ByteSource,
  at: number,
  entry: number,
): { size: number; link: number; info: number } | null => {
  const bytes = entry < 64 ? Buffer.alloc(0) : source.read(at, 64);
  if (bytes.length < 64) return null;
  return { size: Number(bytes.readBigUInt64LE(32)), link: bytes.readUInt32LE(40), info: bytes.readUInt32LE(44) };
};

const readSegments = (source: ByteSource, at: number, entry: number, count: number): Segment[] => {
  if (count === 0) return [];
  const bytes = table(source, at, entry, count, 56, MAX_SEGMENTS);
  return Array.from({ length: count }, (_, i) => {
    const cursor = new Cursor(bytes, i * entry, (i + 1) * entry, 'ELF_INVALID');
    const type = cursor.u32();
    const flags = cursor.u32();
    const offset = cursor.u64();
    const vaddr = cursor.u64();
    cursor.skip(8);
    const fileSize = cursor.u64();
    const memorySize = cursor.u64();
    return {
      type,
      executable: (flags & 1) !== 0,
      writable: (flags & 2) !== 0,
      offset,
      vaddr,
      fileSize,
      memorySize,
      align: cursor.u64(),
    };
  });
};

const readSections = (source: ByteSource, at: number, entry: number, count: number, namesIndex: number): Section[] => {
  // Nothing that runs a program reads these headers: where they are wrong, the segments alone must do.
  if (at === 0 || count === 0 || count > MAX_SECTIONS || entry < 64) return [];
  const bytes = source.read(at, entry * count);
  if (bytes.length < entry * count) return [];
  const raw = Array.from({ length: count }, (_, i) => {
    const cursor = new Cursor(bytes, i * entry, (i + 1) * entry, 'ELF_INVALID');
    const nameAt = cursor.u32();
    const type = cursor.u32();
    const flags = cursor.u64();
    const vaddr = cursor.u64();
    const offset = cursor.u64();
    const size = cursor.u64();
    return { nameAt, name: '', type, flags, vaddr, offset, size, link: cursor.u32(), info: cursor.u32() };
  });
  const holder = raw[namesIndex];
  const names =
    holder === undefined || holder.type === SHT_NOBITS || holder.size > MAX_NAMES
      ? Buffer.alloc(0)
      : source.read(holder.offset, holder.size);
  return raw.map(({ nameAt, ...section }) => ({ ...section, name: stringAt(names, nameAt, 256) }));
};

const rawSection = (source: ByteSource, section: Section): Buffer => {
  if (section.type === SHT_NOBITS) return Buffer.alloc(0);
  if (section.size > MAX_SECTION) return invalid(`section ${section.name} is larger than ${MAX_SECTION} bytes`);
  const bytes = source.read(section.offset, section.size);
  return bytes.length < section.size ? invalid(`section ${section.name} ends outside of the file`) : bytes;
};

/** Contents of a section, decompressed; empty if it does not exist. Throws ELF_INVALID. */
export const sectionBytes = (elf: Elf, section: Section | string | undefined): Buffer => {
  const found = typeof section === 'string' ? sectionNamed(elf, section) : section;
  if (found === undefined) return Buffer.alloc(0);
  const bytes = rawSection(elf.source, found);
  if (found.name.startsWith('.zdebug_') && bytes.toString('latin1', 0, 4) === 'ZLIB')
    return inflated(found, bytes.subarray(12));
  if ((found.flags & SHF_COMPRESSED) === 0) return bytes;
  if (bytes.length < 24 || bytes.readUInt32LE(0) !== 1)
    return invalid(`section ${found.name} has an unknown compression`);
  return inflated(found, bytes.subarray(24));
};

const inflated = (section: Section, bytes: Buffer): Buffer => {
  try {
    return inflateSync(bytes, { maxOutputLength: MAX_SECTION });
  } catch (cause) {
    throw new AttestreamError('ELF_INVALID', `section ${section.name} cannot be decompressed`, {}, { cause });
  }
};

/** The section of that name; one that an older linker compressed (`.zdebug_…`) for `.debug_…`. */
const sectionNamed = (elf: Elf, name: string): Section | undefined =>
  elf.sections.find((section) => section.name === name) ??
  (name.startsWith('.debug_') ? elf.sections.find((section) => section.name === `.z${name.slice(1)}`) : undefined);

/** `length` bytes of the loaded image at a link-time address, from the file; fewer where the segment ends. */
export const bytesAt = (elf: Elf, vaddr: number, length: number): Buffer => {
  const load = elf.loads.find((s) => vaddr >= s.vaddr && vaddr < s.vaddr + s.fileSize);
  if (load === undefined) return Buffer.alloc(0);
  const inside = vaddr - load.vaddr;
  return elf.source.read(load.offset + inside, Math.min(length, load.fileSize - inside, MAX_SECTION));
};

const readBuildId = (source: ByteSource, segments: readonly Segment[], sections: readonly Section[]): string => {
  // Files that only hold what others share have no segments.
  const note = sections.find(({ name }) => name === '.note.gnu.build-id');
  const alone =
    segments.length > 0 || note === undefined ? [] : [{ offset: note.offset, fileSize: note.size, align: 4 }];
  for (const note of [...segments.filter(({ type }) => type === PT_NOTE), ...alone]) {
    const bytes = source.read(note.offset, Math.min(note.fileSize, 4096));
    // Only notes of processor features are aligned to 8.
    const align = note.align === 8 ? 8 : 4;
    for (let at = 0; at + 12 <= bytes.length; ) {
      const nameSize = bytes.readUInt32LE(at);
      const size = bytes.readUInt32LE(at + 4);
      const start = Math.ceil((at + 12 + nameSize) / align) * align;
      if (bytes.readUInt32LE(at + 8) === NT_GNU_BUILD_ID && bytes.toString('latin1', at + 12, at + 16) === 'GNU\0')
        return size <= 64 ? bytes.toString('hex', start, start + size) : '';
      at = Math.ceil((start + size) / align) * align;
    }
  }
  return '';
};
