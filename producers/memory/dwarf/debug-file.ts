import { inflateSync } from 'node:zlib';
import { AttestreamError } from '../../../schemas/errors.js';
import { type ByteSource, stringAt } from '../elf/byte-source.js';
import { type Elf, type Section, sectionBytes } from '../elf/elf.js';

/** Sections up to this size are kept whole; of larger ones only what is asked for is read. */
const WHOLE = 4 * 1024 * 1024;
const MAX_INFLATED = 64 * 1024 * 1024;
const MAX_STRING = 4096;
const SHT_NOBITS = 8;
const SHF_COMPRESSED = 0x800;

/** One section of debug information. Ranges outside of it come back short. */
export class SectionView {
  readonly size: number;
  readonly #whole: Buffer | null;
  readonly #source: ByteSource;
  readonly #offset: number;

  constructor(size: number, whole: Buffer | null, source: ByteSource, offset: number) {
    this.size = size;
    this.#whole = whole;
    this.#source = source;
    this.#offset = offset;
  }

  /** All of it is in memory: asking again costs nothing. */
  get kept(): boolean {
    return this.#whole !== null;
  }

  bytes(offset: number, length: number): Buffer {
    if (!(offset >= 0 && offset < this.size && length > 0)) return Buffer.alloc(0);
    const end = Math.min(this.size, offset + length);
    if (this.#whole !== null) return this.#whole.subarray(offset, end);
    return this.#source.read(this.#offset + offset, end - offset);
  }

  /** '' outside. */
  string(offset: number): string {
    if (this.#whole !== null) return stringAt(this.#whole, offset, MAX_STRING);
    return stringAt(this.bytes(offset, MAX_STRING), 0, MAX_STRING);
  }
}

/** The debug sections of one file, each opened at first use. `suffix` is `.dwo` for split files. */
export class DebugFile {
  readonly elf: Elf;
  readonly #suffix: string;
  readonly #views = new Map<string, SectionView>();

  constructor(elf: Elf, suffix = '') {
    this.elf = elf;
    this.#suffix = suffix;
  }

  has(name: string): boolean {
    return this.section(name).size > 0;
  }

  /** Name without suffix, `.debug_info`. Empty where the file has none. Throws ELF_INVALID. */
  section(name: string): SectionView {
    const known = this.#views.get(name);
    if (known !== undefined) return known;
    const view = openSection(this.elf, `${name}${this.#suffix}`);
    this.#views.set(name, view);
    return view;
  }
}

const openSection = (elf: Elf, name: string): SectionView => {
  const section = elf.sections.find((one) => one.name === name);
  if (section !== undefined) {
    const plain = section.type !== SHT_NOBITS && (section.flags & SHF_COMPRESSED) === 0;
    if (plain && section.size > WHOLE) {
      const size = Math.max(0, Math.min(section.size, elf.source.size - section.offset));
      return new SectionView(size, null, elf.source, section.offset);
    }
    const whole = sectionBytes(elf, section);
    return new SectionView(whole.length, whole, elf.source, section.offset);
  }
  const old = elf.sections.find((one) => one.name === name.replace('.debug_', '.zdebug_'));
  const whole = old === undefined ? Buffer.alloc(0) : inflateOld(elf, old);
  return new SectionView(whole.length, whole, elf.source, 0);
};

/** The form before SHF_COMPRESSED: "ZLIB", size (big-endian), deflated data. */
const inflateOld = (elf: Elf, section: Section): Buffer => {
  const bytes = sectionBytes(elf, section);
  if (bytes.length < 12 || bytes.toString('latin1', 0, 4) !== 'ZLIB') return Buffer.alloc(0);
  try {
    return inflateSync(bytes.subarray(12), { maxOutputLength: MAX_INFLATED });
  } catch (cause) {
    throw new AttestreamError('ELF_INVALID', `section ${section.name} cannot be decompressed`, {}, { cause });
  }
};
