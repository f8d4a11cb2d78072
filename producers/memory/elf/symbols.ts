import type { ByteSource } from './byte-source.js';
import { type Elf, EM_AARCH64 } from './elf.js';
import { nameOffsets, type SymbolEntries, symbolEntries, symbolName } from './symbol-sections.js';

const ENTRY = 24;
const STB_LOCAL = 0;
const STT_NOTYPE = 0;
const STT_OBJECT = 1;
const STT_FUNC = 2;
const STT_GNU_IFUNC = 10;
const SHN_UNDEF = 0;
const SHN_LORESERVE = 0xff00;
const SHF_EXECINSTR = 4;
/** In place of a table's number while symbols are collected. */
const LABEL = 0xff;
/** Symbols looked at behind the nearest start when searching one that covers: nested symbols are rare and shallow. */
const NESTING = 16;
/** Names told of one address; a hostile table may have thousands. */
const MAX_NAMES = 64;
/** Characters of names that are kept; a hostile table may have long ones everywhere. */
const MAX_KEPT = 1_000_000;

/** A function's extent in link-time addresses. */
export interface FunctionSymbol {
  readonly start: number;
  readonly size: number;
  /** All names that start here, versions cut off; the preferred one (shortest without leading underscore) first. */
  readonly names: readonly string[];
}

/** A variable's place in link-time addresses. */
export interface ObjectSymbol {
  readonly start: number;
  readonly size: number;
}

/** Sorting numbers without a comparison function is many times faster: start and index fit into one if both are small. */
const SPAN = 2 ** 32;
const INDEX = 2 ** 21;

/** Indexes of `starts` in ascending order; equal ones as they stand. Plain loops: callbacks for each of 10⁵ symbols take longer than the sort. */
const order = (starts: Float64Array): Uint32Array => {
  const { length } = starts;
  const sorted = new Uint32Array(length);
  let least = Number.POSITIVE_INFINITY;
  let most = 0;
  for (let i = 0; i < length; i++) {
    const start = starts[i]!;
    if (start < least) least = start;
    if (start > most) most = start;
    sorted[i] = i;
  }
  if (length >= INDEX || most - least >= SPAN) return sorted.sort((a, b) => starts[a]! - starts[b]! || a - b);
  const keys = new Float64Array(length);
  for (let i = 0; i < length; i++) keys[i] = (starts[i]! - least) * INDEX + i;
  keys.sort();
  for (let i = 0; i < length; i++) sorted[i] = keys[i]! % INDEX;
  return sorted;
};

/** The functions of one file by address: a name is given only if the symbol covers the address. Names are read when asked for. */
export class SymbolTable {
  readonly #starts: Float64Array;
  readonly #sizes: Float64Array;
  readonly #nameAt: Uint32Array;
  /** Which of the tables it came from, and their texts. */
  readonly #table: Uint8Array;
  readonly #names: readonly ByteSource[];
  readonly #entries: () => SymbolEntries[];
  readonly #known = new Map<number, FunctionSymbol>();
  #kept = 0;

  /** Symbols of a file, and of others with the same addresses. Throws ELF_INVALID. */
  constructor(elf: Elf, ...more: readonly Elf[]) {
    this.#entries = () => [elf, ...more].map(symbolEntries);
    const tables = this.#entries();
    this.#names = tables.map(({ names }) => names);
    const count = tables.reduce((sum, { bytes }) => sum + Math.floor(bytes.length / ENTRY), 0);
    const found = {
      starts: new Float64Array(count),
      sizes: new Float64Array(count),
      nameAt: new Uint32Array(count),
      table: new Uint8Array(count),
      length: 0,
    };
    for (const [number, table] of tables.entries()) this.#collect(elf, table, number, found);
    const sorted = order(found.starts.subarray(0, found.length));
    this.#starts = new Float64Array(sorted.length);
    this.#sizes = new Float64Array(sorted.length);
    this.#nameAt = new Uint32Array(sorted.length);
    this.#table = new Uint8Array(sorted.length);
    for (let to = 0; to < sorted.length; to++) {
      const from = sorted[to]!;
      this.#starts[to] = found.starts[from]!;
      this.#sizes[to] = found.sizes[from]!;
      this.#nameAt[to] = found.nameAt[from]!;
      this.#table[to] = found.table[from]!;
    }
    this.#dropLabelsWithinFunctions();
  }

  /** What a function with a size covers is its own, whatever is marked in it. */
  #dropLabelsWithinFunctions(): void {
    let end = 0;
    for (let i = 0; i < this.#starts.length; i++) {
      const start = this.#starts[i]!;
      if (this.#table[i] !== LABEL) end = Math.max(end, start + this.#sizes[i]!);
      else {
        this.#table[i] = 0;
        if (start < end) this.#sizes[i] = 0;
      }
    }
  }

  #collect(elf: Elf, { bytes, full, names }: SymbolEntries, number: number, found: Found): void {
    const { starts, sizes, nameAt, table } = found;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const first = found.length;
    let length = first;
    let unsized = false;
    const isCode = (section: number): boolean => ((elf.sections[section]?.flags ?? 0) & SHF_EXECINSTR) !== 0;
    for (let at = 0; at + ENTRY <= bytes.length; at += ENTRY) {
      const type = bytes[at + 4]! & 0xf;
      const section = view.getUint16(at + 6, true);
      if (section === SHN_UNDEF) continue;
      // Assembly leaves out not only sizes but types, too: `_start` of musl.
      const label = type === STT_NOTYPE && bytes[at + 4]! >> 4 !== STB_LOCAL && full && number === 0 && isCode(section);
      if (type !== STT_FUNC && type !== STT_GNU_IFUNC && !label) continue;
      const size = view.getUint32(at + 16, true) + view.getUint32(at + 20, true) * 2 ** 32;
      if (size === 0) {
        // Covers nothing, unless what comes next is known.
        if (!full || number > 0 || section >= SHN_LORESERVE) continue;
        unsized = true;
      }
      starts[length] = view.getUint32(at + 8, true) + view.getUint32(at + 12, true) * 2 ** 32;
      sizes[length] = size === 0 ? -section : size;
      table[length] = label ? LABEL : number;
      nameAt[length++] = view.getUint32(at, true);
    }
    found.length = length;
    if (unsized) this.#size(elf, bytes, names, starts.subarray(first, length), sizes.subarray(first, length));
  }

  /**
   * Functions written in assembly often have no size. A full table names the next one, whatever its type: up to there, and no
   * further than its section, the code is theirs.
   */
  #size(elf: Elf, bytes: Buffer, names: ByteSource, starts: Float64Array, sizes: Float64Array): void {
    const bounds = new Float64Array(Math.floor(bytes.length / ENTRY));
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let length = 0;
    for (let at = 0; at + ENTRY <= bytes.length; at += ENTRY) {
      const type = bytes[at + 4]! & 0xf;
      if (type !== STT_FUNC && type !== STT_NOTYPE && type !== STT_GNU_IFUNC) continue;
      if (view.getUint16(at + 6, true) === SHN_UNDEF) continue;
      if (type === STT_NOTYPE && elf.machine === EM_AARCH64 && isMark(names, view.getUint32(at, true))) continue;
      bounds[length++] = view.getUint32(at + 8, true) + view.getUint32(at + 12, true) * 2 ** 32;
    }
    const sorted = bounds.subarray(0, length).sort();
    for (let i = 0; i < starts.length; i++) {
      if (sizes[i]! > 0) continue;
      const section = elf.sections[-sizes[i]!];
      const end = section === undefined ? 0 : section.vaddr + section.size;
      const next = sorted[lastAtOrBefore(sorted, starts[i]!) + 1] ?? end;
      sizes[i] = Math.max(0, Math.min(next, end) - starts[i]!);
    }
  }

  get length(): number {
    return this.#starts.length;
  }

  /** The function whose bytes hold `vaddr`; null if no symbol covers it. */
  covering(vaddr: number): FunctionSymbol | null {
    let last = lastAtOrBefore(this.#starts, vaddr);
    for (let back = 0; last >= 0; last--, back++) {
      if (vaddr < this.#starts[last]! + this.#sizes[last]!) break;
      if (back === NESTING - 1) return null;
    }
    return last < 0 ? null : this.#at(last);
  }

  #at(last: number): FunctionSymbol {
    const known = this.#known.get(last);
    if (known !== undefined) return known;
    const start = this.#starts[last]!;
    const names = new Set<string>();
    for (let i = last, n = 0; i >= 0 && n < MAX_NAMES && this.#starts[i] === start; i--, n++)
      names.add(symbolName(this.#names[this.#table[i]!]!, this.#nameAt[i]!));
    names.delete('');
    const symbol = { start, size: this.#sizes[last]!, names: [...names].sort(byPreference) };
    this.#kept += symbol.names.reduce((sum, name) => sum + name.length, 64);
    if (this.#kept > MAX_KEPT) {
      this.#known.clear();
      this.#kept = 0;
    }
    this.#known.set(last, symbol);
    return symbol;
  }

  /** First function of that name; null if there is none. Reads all names: for opening a target, not for a look. */
  named(name: string): FunctionSymbol | null {
    const offsets = this.#names.map((names) => nameOffsets(names, name));
    if (offsets.every(({ size }) => size === 0)) return null;
    for (let i = 0; i < this.#starts.length; i++)
      if (offsets[this.#table[i]!]!.has(this.#nameAt[i]!)) return this.covering(this.#starts[i]!);
    return null;
  }

  /** First variable of that name; null if there is none. Reads all names, like `named`. */
  object(name: string): ObjectSymbol | null {
    for (const { bytes, names } of this.#entries()) {
      const offsets = nameOffsets(names, name);
      if (offsets.size === 0) continue;
      for (let at = 0; at + ENTRY <= bytes.length; at += ENTRY) {
        if ((bytes[at + 4]! & 0xf) !== STT_OBJECT || !offsets.has(bytes.readUInt32LE(at))) continue;
        if (bytes.readUInt16LE(at + 6) === SHN_UNDEF) continue;
        return { start: Number(bytes.readBigUInt64LE(at + 8)), size: Number(bytes.readBigUInt64LE(at + 16)) };
      }
    }
    return null;
  }
}

/** `$x` and `$d` of arm64 only mark what is code and what is data. */
const isMark = (names: ByteSource, at: number): boolean => names.read(at, 1)[0] === 0x24;

interface Found {
  readonly starts: Float64Array;
  readonly sizes: Float64Array;
  readonly nameAt: Uint32Array;
  readonly table: Uint8Array;
  length: number;
}

/** Index of the last of sorted numbers that is not above `value`; -1 if none. */
const lastAtOrBefore = (sorted: Float64Array, value: number): number => {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
};

const underscores = (name: string): number => name.length - name.replace(/^_+/, '').length;

/** People say `nanosleep`, not `__nanosleep`. */
const byPreference = (a: string, b: string): number =>
  underscores(a) - underscores(b) || a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
