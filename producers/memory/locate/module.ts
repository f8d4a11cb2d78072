import { DebugInfo } from '../dwarf/debug-info.js';
import type { ByteSource } from '../elf/byte-source.js';
import {
  type DebugFile,
  type DebugSearch,
  findAlternateFile,
  findDebugFile,
  findSplitFile,
  hasDebugInfo,
  sameAddresses,
} from '../elf/debug-file.js';
import { type Elf, parseElf } from '../elf/elf.js';
import { hasMiniDebug, readMiniDebug } from '../elf/mini-debug.js';
import { SymbolTable } from '../elf/symbols.js';
import { CallSites } from '../unwind/call-sites.js';
import { CallFrameInfo } from '../unwind/cfi.js';

/** One mapped ELF file and what it tells of its code. Addresses inside are link-time addresses. */
export interface Module {
  readonly path: string;
  readonly elf: Elf;
  readonly symbols: SymbolTable;
  readonly cfi: CallFrameInfo;
  readonly calls: CallSites;
  /** The file that holds `.debug_*` of this one: itself, or a separate debug file with the same addresses; null if there is none. */
  debug(): Elf | null;
  /** The file that `debug()` shares parts with others in (dwz: DW_FORM_GNU_ref_alt, DW_FORM_GNU_strp_alt); null if there is none. */
  alternate(): Elf | null;
  /** Resolves when packed symbols have been unpacked, until when `symbols` lacks them; null if there is nothing to wait for. Never rejects. */
  ready(): Promise<void> | null;
  /** What `debug()` holds, read as far as it is asked for; null without debug information. */
  readonly info: DebugInfo | null;
  /** To be called once by each that was given the module. */
  close: () => void;
}

/** Code at a run-time address. */
export interface Place {
  readonly module: Module;
  /** Link-time address. */
  readonly vaddr: number;
}

/** Files of split debug information that are open at once: one for each source file that a look has met. */
const MAX_SPLIT = 256;

/** Reads `source`, which stays open until `close` is called. `search` null: no other files are looked for. Throws what `parseElf` throws. */
export const openModule = (
  path: string,
  source: ByteSource,
  search: DebugSearch | null,
  close: () => void = () => {},
): Module => {
  const elf = parseElf(source);
  let separate: DebugFile | null | undefined;
  let shared: DebugFile | null | undefined;
  let info: DebugInfo | null | undefined;
  let closed = false;
  const debugFile = (): DebugFile | null => {
    if (separate === undefined) {
      separate = null;
      try {
        separate = search === null ? null : findDebugFile(elf, search);
      } catch {
        // A damaged link leads nowhere.
      }
    }
    return separate;
  };
  const debug = (): Elf | null => {
    if (hasDebugInfo(elf)) return elf;
    const file = debugFile();
    return file !== null && hasDebugInfo(file.elf) ? file.elf : null;
  };
  const alternate = (): Elf | null => {
    if (shared === undefined) {
      shared = null;
      const holder = debug();
      try {
        if (holder !== null && search !== null)
          shared = findAlternateFile(holder, holder === elf ? search.path : debugFile()!.path, search);
      } catch {
        // As above.
      }
    }
    return shared?.elf ?? null;
  };
  const split: DebugFile[] = [];
  const openSplit = (name: string): Elf | null => {
    if (search === null || closed || split.length >= MAX_SPLIT) return null;
    const file = findSplitFile(name, search);
    if (file !== null) split.push(file);
    return file?.elf ?? null;
  };
  // Looked for at once: the process whose root is searched may have ended when somebody asks, and others share the module.
  alternate();
  // A damaged table of symbols takes the names, not the rest of what the file tells.
  const table = (first: Elf, ...more: Elf[]): SymbolTable => {
    try {
      return new SymbolTable(first, ...more);
    } catch {
      return new SymbolTable({ ...elf, sections: [], segments: [] });
    }
  };
  const stripped = !elf.sections.some(({ name }) => name === '.symtab');
  const separated = stripped ? debugFile() : null;
  let symbols = table(separated?.elf ?? elf);
  let unpacking: Promise<void> | null = null;
  if (stripped && separated === null && hasMiniDebug(elf))
    unpacking = readMiniDebug(elf).then((mini) => {
      if (mini !== null && !closed && sameAddresses(elf, mini)) symbols = table(elf, mini);
      unpacking = null;
    });
  return {
    path,
    elf,
    get symbols() {
      return symbols;
    },
    ready: () => unpacking,
    cfi: new CallFrameInfo(elf, debug),
    calls: new CallSites(elf),
    debug,
    alternate,
    get info() {
      if (info === undefined) {
        const holder = debug();
        info = holder === null ? null : new DebugInfo(holder, { alternate, split: openSplit });
      }
      return info;
    },
    close() {
      closed = true;
      separate?.close();
      shared?.close();
      for (const file of split) file.close();
      close();
    },
  };
};
