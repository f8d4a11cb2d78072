import { isAttestreamError } from '../../../schemas/errors.js';
import { type FunctionParameters, readParameters } from '../dwarf/dwarf-parameters.js';
import { type ByteSource, sourceOfBuffer } from '../elf/byte-source.js';
import { type Elf, parseElf } from '../elf/elf.js';
import { SymbolTable } from '../elf/symbols.js';
import { CallSites } from '../unwind/call-sites.js';
import { CallFrameInfo } from '../unwind/cfi.js';
import type { ImageSource, MappedFile } from './image-source.js';
import { type Mapping, mappingAt, parseMaps } from './proc-files.js';

/** One mapped ELF file and what it tells of its code. Addresses inside are link-time addresses. */
export interface Module {
  readonly path: string;
  readonly elf: Elf;
  readonly symbols: SymbolTable;
  readonly cfi: CallFrameInfo;
  readonly calls: CallSites;
  /** Read at first use. Empty without debug information; `damaged` says why it could not be read. */
  parameters(): { readonly functions: FunctionParameters; readonly damaged: string };
}

/** Code at a run-time address. */
export interface Place {
  readonly module: Module;
  /** Link-time address. */
  readonly vaddr: number;
}

const openModule = (path: string, source: ByteSource): Module => {
  const elf = parseElf(source);
  let parameters: { functions: FunctionParameters; damaged: string } | undefined;
  return {
    path,
    elf,
    symbols: new SymbolTable(elf),
    cfi: new CallFrameInfo(elf),
    calls: new CallSites(elf),
    parameters() {
      if (parameters !== undefined) return parameters;
      try {
        parameters = { functions: readParameters(elf), damaged: '' };
      } catch (error) {
        parameters = { functions: new Map(), damaged: (error as Error).message };
      }
      return parameters;
    },
  };
};

const PAGE = 4096;
/** The kernel's own code in every process: an ELF image without a file. */
const VDSO = '[vdso]';
const MAX_VDSO = 64 * 1024;

/** The code that a process has mapped, opened as it is met and kept by device and inode. */
export class ProcessImage {
  readonly #source: ImageSource;
  readonly #modules = new Map<string, { module: Module | null; file: MappedFile | null }>();
  readonly #places = new Map<Mapping, { module: Module; bias: number } | null>();
  #mappings: readonly Mapping[] = [];

  constructor(source: ImageSource) {
    this.#source = source;
    this.refresh();
  }

  /** Reads the mappings anew: after exec, or when an address lies in none of the known ones. */
  refresh(): void {
    this.#mappings = parseMaps(this.#source.maps());
    this.#places.clear();
  }

  get mappings(): readonly Mapping[] {
    return this.#mappings;
  }

  mapping(address: number): Mapping | null {
    return mappingAt(this.#mappings, address);
  }

  /** The file and link-time address behind executable memory; null for anything else. */
  place(address: number): Place | null {
    const mapping = mappingAt(this.#mappings, address);
    if (mapping === null || !mapping.executable || (mapping.inode === 0 && mapping.path !== VDSO)) return null;
    let known = this.#places.get(mapping);
    if (known === undefined) {
      known = this.#locate(mapping);
      this.#places.set(mapping, known);
    }
    return known === null ? null : { module: known.module, vaddr: address - known.bias };
  }

  #locate(mapping: Mapping): { module: Module; bias: number } | null {
    const module = this.#open(mapping);
    if (module === null) return null;
    const load = module.elf.loads.find(
      (segment) =>
        mapping.offset >= segment.offset - (segment.offset % PAGE) &&
        mapping.offset < segment.offset + segment.fileSize,
    );
    return load === undefined ? null : { module, bias: mapping.start - (load.vaddr + (mapping.offset - load.offset)) };
  }

  #open(mapping: Mapping): Module | null {
    const key = mapping.path === VDSO ? VDSO : `${mapping.device} ${mapping.inode}`;
    const known = this.#modules.get(key);
    if (known !== undefined) return known.module;
    const opened = mapping.path === VDSO ? this.#openVdso(mapping) : this.#openFile(mapping);
    this.#modules.set(key, opened);
    return opened.module;
  }

  #openFile(mapping: Mapping): { module: Module | null; file: MappedFile | null } {
    for (const file of this.#source.files(mapping)) {
      try {
        return { module: openModule(mapping.path, file.source), file };
      } catch (error) {
        file.close();
        // A mapped file need not be an ELF file, and a damaged one tells nothing: its code has no names then.
        if (isAttestreamError(error)) return { module: null, file: null };
      }
    }
    return { module: null, file: null };
  }

  #openVdso(mapping: Mapping): { module: Module | null; file: MappedFile | null } {
    const bytes = this.#source.memory(mapping.start, Math.min(mapping.end - mapping.start, MAX_VDSO));
    try {
      return { module: openModule(VDSO, sourceOfBuffer(bytes)), file: null };
    } catch {
      return { module: null, file: null };
    }
  }

  close(): void {
    for (const { file } of this.#modules.values()) file?.close();
    this.#modules.clear();
    this.#places.clear();
    this.#source.close();
  }
}
