import { Cursor } from '../elf/byte-source.js';
import { encodedPointer } from './encoded-pointer.js';
import { type ProgramFactors, type RowState, runFrameProgram } from './frame-program.js';
import type { RegisterRule, UnwindRow } from './unwind-row.js';

const MAX_ENTRY = 1024 * 1024;
const MAX_ENTRIES = 1_000_000;
const MAX_COMMON = 4096;

/** Bytes of `.eh_frame` or `.debug_frame`. */
export interface FrameBytes {
  /** `.eh_frame`: offsets to the common entry count backwards and pointers are encoded. */
  readonly eh: boolean;
  /** Link-time address of the first byte. */
  readonly address: number;
  readonly size: number;
  /** Fewer bytes at the end. */
  read(offset: number, length: number): Buffer;
}

interface Common extends ProgramFactors {
  readonly returnRegister: number;
  readonly pointer: number;
  readonly augmented: boolean;
  readonly signal: boolean;
  readonly instructions: Buffer;
}

interface Entry {
  readonly cursor: Cursor;
  /** Where the entry's id stands, and its value. */
  readonly idAt: number;
  readonly id: number;
  readonly wide: boolean;
  readonly end: number;
}

/** The entries of one section of call frame information. */
export class FrameSection {
  readonly #bytes: FrameBytes;
  /** What data-relative pointers add to. */
  readonly #data: number;
  readonly #common = new Map<number, Common>();

  constructor(bytes: FrameBytes, data: number) {
    this.#bytes = bytes;
    this.#data = data;
  }

  get size(): number {
    return this.#bytes.size;
  }

  /** The entry that begins at `at`; its cursor stands behind the id and counts from the section's start. Null at a terminator. */
  #entry(at: number, from: Buffer | null): Entry | null {
    const head = from === null ? this.#bytes.read(at, 20) : from.subarray(at, at + 20);
    const cursor = new Cursor(head, 0, head.length, 'ELF_INVALID');
    let length = cursor.u32();
    const wide = length === 0xffff_ffff;
    if (wide) length = cursor.u64();
    if (length === 0) return null;
    const idAt = at + cursor.at;
    const id = wide ? cursor.u64() : cursor.u32();
    if (length > MAX_ENTRY) cursor.fail('an entry of impossible length');
    const end = idAt + length;
    // A view that begins where the entry does: places in it are told relative to `at`.
    const bytes = from === null ? this.#bytes.read(at, end - at) : from.subarray(at, end);
    if (bytes.length < end - at) cursor.fail('an entry ends outside of its section');
    return { cursor: new Cursor(bytes, cursor.at, bytes.length, 'ELF_INVALID'), idAt, id, wide, end };
  }

  #isCommon(entry: Entry): boolean {
    return this.#bytes.eh ? entry.id === 0 : entry.id === (entry.wide ? 2 ** 64 : 0xffff_ffff);
  }

  #commonOf(entry: Entry): Common {
    const at = this.#bytes.eh ? entry.idAt - entry.id : entry.id;
    const known = this.#common.get(at);
    if (known !== undefined) return known;
    const common = this.#readCommon(at);
    if (this.#common.size > MAX_COMMON) this.#common.clear();
    this.#common.set(at, common);
    return common;
  }

  #readCommon(at: number): Common {
    const entry = this.#entry(at, null);
    if (entry === null || !this.#isCommon(entry)) throw new RangeError('not a common information entry');
    const { cursor } = entry;
    const place = this.#bytes.address + at;
    const version = cursor.u8();
    const augmentation = cursor.cstring(16);
    if (augmentation === 'eh') cursor.skip(8);
    if (version >= 4) cursor.skip(2);
    const codeAlign = cursor.uleb();
    const dataAlign = cursor.sleb();
    const returnRegister = version === 1 ? cursor.u8() : cursor.uleb();
    let pointer = 0;
    const augmented = augmentation.startsWith('z');
    if (augmented) {
      const length = cursor.uleb();
      const end = cursor.at + length;
      for (const letter of augmentation.slice(1)) {
        if (letter === 'R') pointer = cursor.u8();
        else if (letter === 'L') cursor.skip(1);
        else if (letter === 'P') encodedPointer(cursor, cursor.u8() & 0x7f, place, this.#data);
        else if (letter !== 'S' && letter !== 'B') break;
      }
      cursor.skip(end - cursor.at);
    }
    return {
      codeAlign,
      dataAlign,
      returnRegister,
      pointer,
      augmented,
      signal: augmented && augmentation.includes('S'),
      instructions: cursor.bytes.subarray(cursor.at),
      location: (code) =>
        (pointer & 0x70) === 0 ? encodedPointer(code, pointer, 0, this.#data) : code.fail('a relative location'),
    };
  }

  #range(entry: Entry, common: Common, at: number): { start: number; size: number } {
    const place = this.#bytes.address + at;
    const start = encodedPointer(entry.cursor, common.pointer, place, this.#data);
    return { start, size: encodedPointer(entry.cursor, common.pointer & 0x0f, place, this.#data) };
  }

  /** The row for a link-time pc of the function whose entry begins at `at`; null if the entry is for other code. Throws for a damaged one. */
  row(at: number, vaddr: number): UnwindRow | null {
    const entry = this.#entry(at, null);
    if (entry === null || this.#isCommon(entry)) return null;
    const common = this.#commonOf(entry);
    const { start, size } = this.#range(entry, common, at);
    if (vaddr < start || vaddr >= start + size) return null;
    const { cursor } = entry;
    if (common.augmented) cursor.skip(cursor.uleb());
    const initial: RowState = { cfa: { register: -1, offset: 0, expression: null }, rules: new Map() };
    const opening = new Cursor(common.instructions, 0, common.instructions.length, 'ELF_INVALID');
    runFrameProgram(opening, common, initial, null, 0, Number.POSITIVE_INFINITY);
    const state: RowState = { cfa: initial.cfa, rules: new Map(initial.rules) };
    runFrameProgram(cursor, common, state, initial, start, vaddr);
    const rules: ReadonlyMap<number, RegisterRule> = state.rules;
    return {
      start,
      size,
      cfa: state.cfa,
      registers: rules,
      returnRegister: common.returnRegister,
      outermost: rules.get(common.returnRegister)?.kind === 'undefined',
      signal: common.signal,
    };
  }

  /** Start of each function with its entry's place, sorted: for sections that no table leads into. Entries behind a damaged one are left out. */
  index(): { readonly starts: Float64Array; readonly entries: Float64Array } {
    const all = this.#bytes.read(0, this.#bytes.size);
    const found: [number, number][] = [];
    try {
      for (let at = 0; at + 4 < all.length && found.length < MAX_ENTRIES; ) {
        const entry = this.#entry(at, all);
        if (entry === null) {
          // Each part that was linked in may end with a terminator of its own in .debug_frame.
          if (this.#bytes.eh) break;
          at += 4;
          continue;
        }
        if (!this.#isCommon(entry)) {
          const { start, size } = this.#range(entry, this.#commonOf(entry), at);
          if (size > 0) found.push([start, at]);
        }
        at = entry.end;
      }
    } catch {
      // What comes behind cannot be found any more.
    }
    found.sort((a, b) => a[0] - b[0]);
    return { starts: Float64Array.from(found, ([start]) => start), entries: Float64Array.from(found, ([, at]) => at) };
  }
}
