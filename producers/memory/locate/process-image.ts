import { sourceOfBuffer } from '../elf/byte-source.js';
import { openEqualFile } from './equal-files.js';
import type { ImageSource } from './image-source.js';
import { loadBias } from './load-bias.js';
import { type Module, openModule, type Place } from './module.js';
import { type Mapping, mappingAt, parseMaps } from './proc-files.js';
import { mayHoldRuntime, NATIVE, runtimeOf } from './runtime.js';
import { sharedModules } from './shared-modules.js';

/** The kernel's own code in every process: an ELF image without a file. */
const VDSO = '[vdso]';
const MAX_VDSO = 64 * 1024;

interface Opened {
  readonly module: Module;
  /** '' if it is this image's alone. */
  readonly identity: string;
}

/** The code that a process has mapped, opened as it is met and kept by device and inode. */
export class ProcessImage {
  readonly #source: ImageSource;
  readonly #modules = new Map<string, Opened | null>();
  readonly #places = new Map<Mapping, { module: Module; bias: number } | null>();
  #mappings: readonly Mapping[] = [];
  #runtime: string | null = null;

  constructor(source: ImageSource) {
    this.#source = source;
    this.refresh();
  }

  /** Reads the mappings anew: after exec, or when an address lies in none of the known ones. */
  refresh(): void {
    this.#mappings = parseMaps(this.#source.maps());
    this.#places.clear();
    // A library loaded later may bring an interpreter along; one that was there stays.
    if (this.#runtime === NATIVE) this.#runtime = null;
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

  /**
   * What runs the program: `native`, or the interpreter or virtual machine whose own frames the stacks show instead of the
   * program's: `python 3.11`, `java`, `node`; `go 1.22` for goroutines, which the threads' stacks do not tell.
   */
  get runtime(): string {
    this.#runtime ??= this.#findRuntime();
    return this.#runtime;
  }

  #findRuntime(): string {
    const seen = new Set<string>();
    for (const mapping of this.#mappings) {
      if (!mapping.executable || mapping.inode === 0 || seen.has(mapping.path)) continue;
      // The program itself is mapped first but for the dynamic linker, which an odd layout puts before it.
      if (seen.size > 1 && !mayHoldRuntime(mapping.path)) continue;
      seen.add(mapping.path);
      try {
        const module = this.#open(mapping);
        const found = module === null ? null : runtimeOf(module.elf, mapping.path);
        if (found !== null) return found;
      } catch {
        // A damaged file tells nothing.
      }
    }
    return NATIVE;
  }

  /**
   * Resolves when the files met so far have told all they know (packed symbols); null if they have. For between looks: none
   * waits for it.
   */
  ready(): Promise<void> | null {
    const waiting = [...this.#modules.values()]
      .map((opened) => opened?.module.ready() ?? null)
      .filter((one) => one !== null);
    return waiting.length === 0 ? null : Promise.all(waiting).then(() => {});
  }

  #locate(mapping: Mapping): { module: Module; bias: number } | null {
    const module = this.#open(mapping);
    if (module === null) return null;
    const bias = loadBias(module.elf, mapping, this.#mappings);
    return bias === null ? null : { module, bias };
  }

  #open(mapping: Mapping): Module | null {
    const key = mapping.path === VDSO ? VDSO : `${mapping.device} ${mapping.inode}`;
    const known = this.#modules.get(key);
    if (known !== undefined) return known?.module ?? null;
    const opened = mapping.path === VDSO ? this.#openVdso(mapping) : this.#openFile(mapping);
    this.#modules.set(key, opened);
    return opened?.module ?? null;
  }

  #openFile(mapping: Mapping): Opened | null {
    for (const file of this.#source.files(mapping)) {
      const { identity = '', source, close } = file;
      if (identity !== '' && sharedModules.has(identity)) close();
      try {
        const open = (): Module => openEqualFile(mapping.path, source, this.#source.debugSearch(mapping), close);
        return { module: identity === '' ? open() : sharedModules.open(identity, open), identity };
      } catch {
        close();
        // A mapped file need not be an ELF file, and a damaged one tells nothing: its code has no names then.
        return null;
      }
    }
    return null;
  }

  #openVdso(mapping: Mapping): Opened | null {
    const bytes = this.#source.memory(mapping.start, Math.min(mapping.end - mapping.start, MAX_VDSO));
    try {
      return { module: openModule(VDSO, sourceOfBuffer(bytes), null), identity: '' };
    } catch {
      return null;
    }
  }

  close(): void {
    for (const opened of this.#modules.values())
      if (opened !== null) sharedModules.close(opened.identity, opened.module);
    this.#modules.clear();
    this.#places.clear();
    this.#source.close();
  }
}
