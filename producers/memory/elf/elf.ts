import { inflateSync } from 'node:zlib';
import { AttestreamError } from '../../../schemas/errors.js';
import { type ByteSource, Cursor, stringAt } from './byte-source.js';

/** Sections larger than this are not read: nothing that we need comes near it. */
const MAX_SECTION = 64 * 1024 * 1024;
const MAX_HEADERS = 65_536;
const PT_LOAD = 1;
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
  readonly offset: number;
  readonly vaddr: number;
  readonly fileSize: number;
  readonly memorySize: number;
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
  readonly loads: readonly Segment[];
  readonly ehFrameHeader: Segment | null;
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

  const segments = segmentCount === 0 ? [] : readSegments(source, segmentsAt, segmentSize, segmentCount);
  // A file stripped of its section headers is legal: the segments alone must do.
  const sections = sectionCount === 0 ? [] : readSections(source, sectionsAt, sectionSize, sectionCount, namesIndex);
  return {
    source,
    type,
    machine,
    entry,
    loads: segments.filter((segment) => segment.type === PT_LOAD),
    ehFrameHeader: segments.find((segment) => segment.type === PT_GNU_EH_FRAME) ?? null,
    sections,
    buildId: readBuildId(source, segments),
  };
};

const table = (source: ByteSource, at: number, entry: number, count: number, least: number): Buffer => {
  if (entry < least || count > MAX_HEADERS) return invalid('header table of an impossible shape', at);
  const bytes = source.read(at, entry * count);
  return bytes.length < entry * count ? invalid('header table outside of the file', at) : bytes;
};

const readSegments = (source: ByteSource, at: number, entry: number, count: number): Segment[] => {
  const bytes = table(source, at, entry, count, 56);
  return Array.from({ length: count }, (_, i) => {
    const cursor = new Cursor(bytes, i * entry, (i + 1) * entry, 'ELF_INVALID');
    const type = cursor.u32();
    const flags = cursor.u32();
    const offset = cursor.u64();
    const vaddr = cursor.u64();
    cursor.skip(8);
    return { type, executable: (flags & 1) !== 0, offset, vaddr, fileSize: cursor.u64(), memorySize: cursor.u64() };
  });
};

const readSections = (source: ByteSource, at: number, entry: number, count: number, namesIndex: number): Section[] => {
  const bytes = table(source, at, entry, count, 64);
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
  const names = raw[namesIndex] === undefined ? Buffer.alloc(0) : rawSection(source, raw[namesIndex]);
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
  const found = typeof section === 'string' ? elf.sections.find((s) => s.name === section) : section;
  if (found === undefined) return Buffer.alloc(0);
  const bytes = rawSection(elf.source, found);
  if ((found.flags & SHF_COMPRESSED) === 0) return bytes;
  if (bytes.length < 24 || bytes.readUInt32LE(0) !== 1)
    return invalid(`section ${found.name} has an unknown compression`);
  try {
    return inflateSync(bytes.subarray(24), { maxOutputLength: MAX_SECTION });
  } catch (cause) {
    throw new AttestreamError('ELF_INVALID', `section ${found.name} cannot be decompressed`, {}, { cause });
  }
};

/** `length` bytes of the loaded image at a link-time address, from the file; fewer where the segment ends. */
export const bytesAt = (elf: Elf, vaddr: number, length: number): Buffer => {
  const load = elf.loads.find((s) => vaddr >= s.vaddr && vaddr < s.vaddr + s.fileSize);
  if (load === undefined) return Buffer.alloc(0);
  const inside = vaddr - load.vaddr;
  return elf.source.read(load.offset + inside, Math.min(length, load.fileSize - inside, MAX_SECTION));
};

const readBuildId = (source: ByteSource, segments: readonly Segment[]): string => {
  for (const note of segments) {
    if (note.type !== PT_NOTE) continue;
    const bytes = source.read(note.offset, Math.min(note.fileSize, 4096));
    for (let at = 0; at + 12 <= bytes.length; ) {
      const nameSize = bytes.readUInt32LE(at);
      const size = bytes.readUInt32LE(at + 4);
      const start = at + 12 + Math.ceil(nameSize / 4) * 4;
      if (bytes.readUInt32LE(at + 8) === NT_GNU_BUILD_ID && bytes.toString('latin1', at + 12, at + 16) === 'GNU\0')
        return size <= 64 ? bytes.toString('hex', start, start + size) : '';
      at = start + Math.ceil(size / 4) * 4;
    }
  }
  return '';
};
