import { type Elf, parseElf } from '../elf/elf.js';
import type { MappedFile } from '../locate/image-source.js';
import { type Mapping, mappingAt, parseMaps } from '../locate/proc-files.js';

const MAX_FILES = 64;

/** Starts of the mappings that the process could not write to. */
const constantStarts = (maps: string): ReadonlySet<number> =>
  new Set([...maps.matchAll(/^([0-9a-f]+)-[0-9a-f]+ .-/gm)].map((match) => Number.parseInt(match[1]!, 16)));

/**
 * Memory that a capture need not hold, because a program or library that it holds has the same: constants and code. Data that
 * the linker changes when a program starts lies in segments that may be written to, and is never taken from a file.
 */
export class ConstantMemory {
  readonly #mappings: readonly Mapping[];
  readonly #files: (mapping: Mapping) => Iterable<MappedFile>;
  readonly #opened = new Map<string, { file: MappedFile; elf: Elf } | null>();

  constructor(maps: string, files: (mapping: Mapping) => Iterable<MappedFile>) {
    const constant = constantStarts(maps);
    this.#mappings = parseMaps(maps).filter(({ start, inode }) => inode !== 0 && constant.has(start));
    this.#files = files;
  }

  read(address: number, length: number): Buffer {
    const mapping = mappingAt(this.#mappings, address);
    const elf = mapping === null ? null : this.#open(mapping);
    if (mapping === null || elf === null) return Buffer.alloc(0);
    const at = mapping.offset + (address - mapping.start);
    const load = elf.loads.find((s) => !s.writable && at >= s.offset && at < s.offset + s.fileSize);
    if (load === undefined) return Buffer.alloc(0);
    return elf.source.read(at, Math.min(length, load.offset + load.fileSize - at, mapping.end - address));
  }

  #open(mapping: Mapping): Elf | null {
    const known = this.#opened.get(mapping.path);
    if (known !== undefined) return known?.elf ?? null;
    if (this.#opened.size >= MAX_FILES) return null;
    let opened: { file: MappedFile; elf: Elf } | null = null;
    for (const file of this.#files(mapping)) {
      try {
        opened = { file, elf: parseElf(file.source) };
        break;
      } catch {
        file.close();
      }
    }
    this.#opened.set(mapping.path, opened);
    return opened?.elf ?? null;
  }

  close(): void {
    for (const opened of this.#opened.values()) opened?.file.close();
    this.#opened.clear();
  }
}
