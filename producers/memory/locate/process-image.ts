import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { isAttestreamError } from '../../../schemas/errors.js';
import { type FunctionParameters, readParameters } from '../dwarf/dwarf-parameters.js';
import { sourceOfFile } from '../elf/byte-source.js';
import { type Elf, parseElf } from '../elf/elf.js';
import { SymbolTable } from '../elf/symbols.js';
import { CallSites } from '../unwind/call-sites.js';
import { CallFrameInfo } from '../unwind/cfi.js';
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

const openModule = (path: string, fd: number): Module => {
  const elf = parseElf(sourceOfFile(fd));
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

/** The code that a process has mapped, opened as it is met and kept by device and inode. */
export class ProcessImage {
  readonly #pid: number;
  readonly #modules = new Map<string, { module: Module | null; fd: number }>();
  readonly #places = new Map<Mapping, { module: Module; bias: number } | null>();
  #mappings: readonly Mapping[] = [];

  constructor(pid: number) {
    this.#pid = pid;
    this.refresh();
  }

  /** Reads the mappings anew: after exec, or when an address lies in none of the known ones. */
  refresh(): void {
    this.#mappings = parseMaps(readFileSync(`/proc/${this.#pid}/maps`, 'latin1'));
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
    if (mapping === null || !mapping.executable || mapping.inode === 0) return null;
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
    const key = `${mapping.device} ${mapping.inode}`;
    const known = this.#modules.get(key);
    if (known !== undefined) return known.module;
    const opened = this.#openFile(mapping);
    this.#modules.set(key, opened);
    return opened.module;
  }

  /** The path may name another file by now: only one with the mapping's inode is taken. */
  #openFile(mapping: Mapping): { module: Module | null; fd: number } {
    const range = `${mapping.start.toString(16)}-${mapping.end.toString(16)}`;
    const proc = `/proc/${this.#pid}`;
    for (const path of [`${proc}/root${mapping.path}`, `${proc}/exe`, `${proc}/map_files/${range}`]) {
      let fd = -1;
      try {
        fd = openSync(path, 'r');
        const stat = fstatSync(fd);
        if (!stat.isFile() || stat.ino !== mapping.inode) {
          closeSync(fd);
          continue;
        }
        return { module: openModule(mapping.path, fd), fd };
      } catch (error) {
        if (fd >= 0) closeSync(fd);
        // A mapped file need not be an ELF file, and a damaged one tells nothing: its code has no names then.
        if (isAttestreamError(error)) return { module: null, fd: -1 };
      }
    }
    return { module: null, fd: -1 };
  }

  close(): void {
    for (const { fd } of this.#modules.values()) if (fd >= 0) closeSync(fd);
    this.#modules.clear();
    this.#places.clear();
  }
}
