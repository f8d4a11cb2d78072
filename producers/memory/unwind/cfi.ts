import { Cursor } from '../elf/byte-source.js';
import { bytesAt, type Elf } from '../elf/elf.js';

/** DWARF numbers of the x86-64 registers that unwinding follows. */
const RBP = 6;
const RSP = 7;
const RETURN_ADDRESS = 16;

const MAX_HEADER = 32 * 1024 * 1024;
const MAX_ENTRY = 64 * 1024;
const MAX_STEPS = 10_000;
const MAX_REMEMBERED = 64;

/** Where a frame's caller stands, as the compiler's call frame information has it for one pc. */
export interface UnwindRow {
  /** Link-time start of the function part that the row is for. */
  readonly start: number;
  readonly size: number;
  /** Canonical frame address = register + offset; `other` needs what /proc does not tell. */
  readonly cfa: { readonly register: 'sp' | 'bp' | 'other'; readonly offset: number };
  /** Where the caller's rbp is: unchanged, saved at CFA + offset, or not told. */
  readonly bp: { readonly rule: 'same' | 'saved' | 'other'; readonly offset: number };
  /** Nothing called this function: the stack ends here. */
  readonly outermost: boolean;
  /** The kernel built this frame to deliver a signal. */
  readonly signal: boolean;
}

interface Rule {
  rule: 'same' | 'saved' | 'undefined' | 'other';
  offset: number;
}

interface State {
  register: number;
  offset: number;
  expression: boolean;
  bp: Rule;
  ra: Rule;
}

interface Common {
  readonly codeAlign: number;
  readonly dataAlign: number;
  readonly pointer: number;
  readonly signal: boolean;
  readonly instructions: Cursor;
}

/** Reads `.eh_frame` through the sorted table of `.eh_frame_hdr`, which stripped files keep too. */
export class CallFrameInfo {
  readonly #elf: Elf;
  readonly #table: Buffer;
  readonly #tableAt: number;
  readonly #count: number;
  readonly #headerVaddr: number;
  readonly #rows = new Map<number, UnwindRow | null>();

  /** Files without a table in the usual encoding simply have no rows. */
  constructor(elf: Elf) {
    this.#elf = elf;
    const header = elf.ehFrameHeader;
    const bytes =
      header === null ? Buffer.alloc(0) : elf.source.read(header.offset, Math.min(header.fileSize, MAX_HEADER));
    this.#table = bytes;
    this.#tableAt = 12;
    this.#headerVaddr = header?.vaddr ?? 0;
    // version 1, .eh_frame pointer pcrel|sdata4, count udata4, table datarel|sdata4: what every linker writes
    const usual = bytes.length >= 12 && bytes.readUInt32LE(0) === 0x3b031b01;
    this.#count = usual ? Math.min(bytes.readUInt32LE(8), Math.floor((bytes.length - 12) / 8)) : 0;
  }

  get present(): boolean {
    return this.#count > 0;
  }

  /** The row for a link-time pc; null where the compiler told nothing usable. */
  at(vaddr: number): UnwindRow | null {
    const known = this.#rows.get(vaddr);
    if (known !== undefined) return known;
    if (this.#rows.size > 65_536) this.#rows.clear();
    let row: UnwindRow | null = null;
    try {
      row = this.#compute(vaddr);
    } catch {
      // A damaged entry tells nothing; the other rules of unwinding take over.
    }
    this.#rows.set(vaddr, row);
    return row;
  }

  #entryFor(vaddr: number): number | null {
    let low = 0;
    let high = this.#count;
    const relative = vaddr - this.#headerVaddr;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#table.readInt32LE(this.#tableAt + middle * 8) <= relative) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? null : this.#headerVaddr + this.#table.readInt32LE(this.#tableAt + (low - 1) * 8 + 4);
  }

  #cursor(vaddr: number): Cursor {
    const length = bytesAt(this.#elf, vaddr, 4);
    const size = length.length < 4 ? 0 : length.readUInt32LE(0);
    if (size === 0 || size > MAX_ENTRY) throw new RangeError('no such entry');
    const bytes = bytesAt(this.#elf, vaddr, size + 4);
    return new Cursor(bytes, 4, bytes.length, 'ELF_INVALID');
  }

  #compute(vaddr: number): UnwindRow | null {
    const at = this.#entryFor(vaddr);
    if (at === null) return null;
    const entry = this.#cursor(at);
    const common = this.#common(at + 4 - entry.u32());
    const start = this.#pointer(entry, common.pointer, at);
    const length = this.#pointer(entry, common.pointer & 0x0f, at);
    if (vaddr < start || vaddr >= start + length) return null;
    entry.skip(entry.uleb());
    const initial: State = {
      register: RSP,
      offset: 8,
      expression: false,
      bp: { rule: 'same', offset: 0 },
      ra: { rule: 'saved', offset: -8 },
    };
    run(common.instructions, common, initial, null, start, vaddr);
    const state = structuredClone(initial);
    run(entry, common, state, initial, start, vaddr);
    const register = state.expression
      ? 'other'
      : state.register === RSP
        ? 'sp'
        : state.register === RBP
          ? 'bp'
          : 'other';
    const usual = state.ra.rule === 'saved' && state.ra.offset === -8;
    return {
      start,
      size: length,
      cfa: { register: usual ? register : 'other', offset: state.offset },
      bp: { rule: state.bp.rule === 'undefined' ? 'other' : state.bp.rule, offset: state.bp.offset },
      outermost: state.ra.rule === 'undefined',
      signal: common.signal,
    };
  }

  #common(vaddr: number): Common {
    const cursor = this.#cursor(vaddr);
    if (cursor.u32() !== 0) cursor.fail('not a common information entry');
    cursor.skip(1);
    const augmentation = cursor.cstring(16);
    const codeAlign = cursor.uleb();
    const dataAlign = cursor.sleb();
    cursor.uleb();
    let pointer = 0;
    if (augmentation.startsWith('z')) {
      const end = cursor.uleb() + cursor.at;
      for (const letter of augmentation.slice(1)) {
        if (letter === 'R') pointer = cursor.u8();
        else if (letter === 'L') cursor.skip(1);
        else if (letter === 'P') this.#pointer(cursor, cursor.u8() & 0x7f, vaddr);
        else if (letter !== 'S' && letter !== 'B') break;
      }
      cursor.skip(end - cursor.at);
    }
    return { codeAlign, dataAlign, pointer, signal: augmentation.includes('S'), instructions: cursor };
  }

  /** A pointer in one of the encodings of .eh_frame; `entry` is the address of the cursor's buffer. */
  #pointer(cursor: Cursor, encoding: number, entry: number): number {
    const place = (encoding & 0x70) === 0x10 ? entry + cursor.at : 0;
    switch (encoding & 0x0f) {
      case 0x00:
      case 0x04:
        return cursor.u64() + place;
      case 0x0c:
        return cursor.i64() + place;
      case 0x03:
        return cursor.u32() + place;
      case 0x0b:
        return cursor.i32() + place;
      case 0x02:
        return cursor.u16() + place;
      case 0x01:
        return cursor.uleb() + place;
      default:
        return cursor.fail(`pointer encoding ${encoding} is not known`);
    }
  }
}

const ruleOf = (state: State, register: number): Rule | null =>
  register === RBP ? state.bp : register === RETURN_ADDRESS ? state.ra : null;

const set = (state: State, register: number, rule: Rule['rule'], offset = 0): void => {
  const target = ruleOf(state, register);
  if (target === null) return;
  target.rule = rule;
  target.offset = offset;
};

const restore = (state: State, initial: State | null, register: number): void => {
  const from = initial === null ? null : ruleOf(initial, register);
  if (from !== null) set(state, register, from.rule, from.offset);
};

/** Runs call frame instructions until the location passes `pc`. */
const run = (code: Cursor, common: Common, state: State, initial: State | null, start: number, pc: number): void => {
  const remembered: State[] = [];
  let location = start;
  for (let steps = 0; !code.done; steps++) {
    if (steps > MAX_STEPS) code.fail('call frame information without end');
    const op = code.u8();
    const low = op & 0x3f;
    if (op >> 6 === 1) location += low * common.codeAlign;
    else if (op >> 6 === 2) set(state, low, 'saved', code.uleb() * common.dataAlign);
    else if (op >> 6 === 3) restore(state, initial, low);
    else
      switch (op) {
        case 0x00: // nop
          break;
        case 0x01: // set_loc
          code.fail('an absolute location');
          break;
        case 0x02:
          location += code.u8() * common.codeAlign;
          break;
        case 0x03:
          location += code.u16() * common.codeAlign;
          break;
        case 0x04:
          location += code.u32() * common.codeAlign;
          break;
        case 0x05: // offset_extended
          set(state, code.uleb(), 'saved', code.uleb() * common.dataAlign);
          break;
        case 0x06:
          restore(state, initial, code.uleb());
          break;
        case 0x07:
          set(state, code.uleb(), 'undefined');
          break;
        case 0x08:
          set(state, code.uleb(), 'same');
          break;
        case 0x09: // register
        case 0x14: // val_offset
          set(state, code.uleb(), 'other');
          code.uleb();
          break;
        case 0x0a:
          if (remembered.length >= MAX_REMEMBERED) code.fail('too many remembered states');
          remembered.push(structuredClone(state));
          break;
        case 0x0b: {
          const before = remembered.pop();
          if (before === undefined) code.fail('no remembered state');
          Object.assign(state, before);
          break;
        }
        case 0x0c: // def_cfa
          state.register = code.uleb();
          state.offset = code.uleb();
          state.expression = false;
          break;
        case 0x0d:
          state.register = code.uleb();
          break;
        case 0x0e:
          state.offset = code.uleb();
          break;
        case 0x0f: // def_cfa_expression
          state.expression = true;
          code.skip(code.uleb());
          break;
        case 0x10: // expression
        case 0x16: // val_expression
          set(state, code.uleb(), 'other');
          code.skip(code.uleb());
          break;
        case 0x11: // offset_extended_sf
          set(state, code.uleb(), 'saved', code.sleb() * common.dataAlign);
          break;
        case 0x12: // def_cfa_sf
          state.register = code.uleb();
          state.offset = code.sleb() * common.dataAlign;
          state.expression = false;
          break;
        case 0x13:
          state.offset = code.sleb() * common.dataAlign;
          break;
        case 0x15: // val_offset_sf
          set(state, code.uleb(), 'other');
          code.sleb();
          break;
        case 0x2e: // GNU_args_size
          code.uleb();
          break;
        case 0x2f: // GNU_negative_offset_extended
          set(state, code.uleb(), 'saved', -code.uleb() * common.dataAlign);
          break;
        default:
          code.fail(`call frame instruction ${op} is not known`);
      }
    if (location > pc) return;
  }
};
