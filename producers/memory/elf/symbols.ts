import { stringAt } from './byte-source.js';
import { type Elf, sectionBytes } from './elf.js';

const ENTRY = 24;
const STT_FUNC = 2;
const STT_GNU_IFUNC = 10;
const SHN_UNDEF = 0;
/** Symbols looked at behind the nearest start when searching one that covers: nested symbols are rare and shallow. */
const NESTING = 16;

/** A function's extent in link-time addresses. */
export interface FunctionSymbol {
  readonly start: number;
  readonly size: number;
  /** All names that start here, versions cut off; the preferred one (shortest without leading underscore) first. */
  readonly names: readonly string[];
}

/** The functions of one file by address: a name is given only if the symbol covers the address. */
export class SymbolTable {
  readonly #starts: Float64Array;
  readonly #sizes: Float64Array;
  readonly #names: readonly Buffer[];
  readonly #table: Uint8Array;
  readonly #nameAt: Uint32Array;

  constructor(elf: Elf) {
    const found: { start: number; size: number; table: number; nameAt: number }[] = [];
    const names: Buffer[] = [];
    for (const section of elf.sections) {
      if (section.name !== '.symtab' && section.name !== '.dynsym') continue;
      const bytes = sectionBytes(elf, section);
      const table = names.push(sectionBytes(elf, elf.sections[section.link])) - 1;
      for (let at = 0; at + ENTRY <= bytes.length; at += ENTRY) {
        const type = bytes[at + 4]! & 0xf;
        if ((type !== STT_FUNC && type !== STT_GNU_IFUNC) || bytes.readUInt16LE(at + 6) === SHN_UNDEF) continue;
        const start = Number(bytes.readBigUInt64LE(at + 8));
        found.push({ start, size: Number(bytes.readBigUInt64LE(at + 16)), table, nameAt: bytes.readUInt32LE(at) });
      }
      if (names.length > 8) break;
    }
    found.sort((a, b) => a.start - b.start || a.size - b.size);
    this.#names = names;
    this.#starts = Float64Array.from(found, (symbol) => symbol.start);
    this.#sizes = Float64Array.from(found, (symbol) => symbol.size);
    this.#table = Uint8Array.from(found, (symbol) => symbol.table);
    this.#nameAt = Uint32Array.from(found, (symbol) => symbol.nameAt);
  }

  get length(): number {
    return this.#starts.length;
  }

  /** Index of the last symbol that starts at or before `vaddr`; -1 if none. */
  #before(vaddr: number): number {
    let low = 0;
    let high = this.#starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#starts[middle]! <= vaddr) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #name(i: number): string {
    const name = stringAt(this.#names[this.#table[i]!]!, this.#nameAt[i]!, 1024);
    const version = name.indexOf('@');
    return version > 0 ? name.slice(0, version) : name;
  }

  /** The function whose bytes hold `vaddr`; null if no symbol covers it. */
  covering(vaddr: number): FunctionSymbol | null {
    let last = this.#before(vaddr);
    for (let back = 0; last >= 0 && back < NESTING; last--, back++)
      if (vaddr < this.#starts[last]! + this.#sizes[last]!) break;
      else if (back === NESTING - 1) return null;
    if (last < 0) return null;
    const start = this.#starts[last]!;
    const size = this.#sizes[last]!;
    const names = new Set<string>();
    for (let i = last, n = 0; i >= 0 && n < 64 && this.#starts[i] === start; i--, n++) names.add(this.#name(i));
    names.delete('');
    return { start, size, names: [...names].sort(byPreference) };
  }

  /** First function of that name; null if there is none. Linear: for opening a target, not for a look. */
  named(name: string): FunctionSymbol | null {
    for (let i = 0; i < this.#starts.length; i++) if (this.#name(i) === name) return this.covering(this.#starts[i]!);
    return null;
  }
}

const underscores = (name: string): number => name.length - name.replace(/^_+/, '').length;

/** People say `nanosleep`, not `__nanosleep`. */
const byPreference = (a: string, b: string): number =>
  underscores(a) - underscores(b) || a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
