import { Cursor, stringAt } from '../elf/byte-source.js';
import { AT, FORM } from './constants.js';
import { attributeOf, stringOf, type Unit } from './unit.js';

const MAX_ROWS = 4_000_000;
const MAX_FILES = 100_000;
const MAX_PROGRAM = 64 * 1024 * 1024;

const FLAG = { statement: 1, prologueEnd: 2, end: 4 } as const;

/** A source line. */
export interface SourceLine {
  /** As the compiler wrote it, with its folder unless that is the compilation's own. */
  readonly file: string;
  readonly line: number;
}

interface Files {
  readonly names: readonly string[];
  /** Number of the first file: 1 before DWARF 5. */
  readonly first: number;
}

/** The rows of one unit's line number program (DWARF 5, 6.2), by address. */
export class LineTable {
  readonly #files: Files;
  readonly #addresses: Float64Array;
  readonly #lines: Uint32Array;
  readonly #fileOf: Uint32Array;
  readonly #flags: Uint8Array;

  constructor(files: Files, rows: Rows) {
    const order = rows.order();
    this.#files = files;
    this.#addresses = Float64Array.from(order, (i) => rows.addresses[i]!);
    this.#lines = Uint32Array.from(order, (i) => rows.lines[i]!);
    this.#fileOf = Uint32Array.from(order, (i) => rows.files[i]!);
    this.#flags = Uint8Array.from(order, (i) => rows.flags[i]!);
  }

  /** Index of the last row at or before an address. */
  #before(vaddr: number): number {
    let low = 0;
    let high = this.#addresses.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#addresses[middle]! <= vaddr) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** '' if there is no such file. */
  file(number: number): string {
    return this.#files.names[number - this.#files.first] ?? '';
  }

  /** The line that the code at a link-time address stems from; null if none is told. */
  at(vaddr: number): SourceLine | null {
    let i = this.#before(vaddr);
    // Line 0 is the compiler's own code: it continues what was before.
    while (i >= 0 && this.#lines[i] === 0 && (this.#flags[i]! & FLAG.end) === 0) i--;
    if (i < 0 || (this.#flags[i]! & FLAG.end) !== 0) return null;
    if ((this.#flags[i]! & FLAG.statement) === 0)
      for (let j = i - 1; j >= 0 && this.#addresses[j] === this.#addresses[i] && this.#lines[j] !== 0; j--)
        if ((this.#flags[j]! & FLAG.statement) !== 0) {
          i = j;
          break;
        }
    return { file: this.file(this.#fileOf[i]!), line: this.#lines[i]! };
  }

  /**
   * Where a function that begins at `low` has stored its arguments: where the compiler says so, else at its second row, which is
   * where compilers that do not say begin its body. `high` if neither is there.
   */
  prologueEnd(low: number, high: number): number {
    let i = this.#before(low);
    while (i > 0 && this.#addresses[i - 1] === low) i--;
    let second = high;
    for (let n = 0; i < this.#addresses.length && this.#addresses[i]! < high && n < 4096; i++, n++) {
      const address = this.#addresses[i]!;
      if (address < low || (this.#flags[i]! & FLAG.end) !== 0) continue;
      if ((this.#flags[i]! & FLAG.prologueEnd) !== 0) return address;
      if (address > low && second === high) second = address;
    }
    return second;
  }
}

class Rows {
  readonly addresses: number[] = [];
  readonly lines: number[] = [];
  readonly files: number[] = [];
  readonly flags: number[] = [];

  add(address: number, line: number, file: number, flags: number): void {
    this.addresses.push(address);
    this.lines.push(line);
    this.files.push(file);
    this.flags.push(flags);
  }

  /** By address, an end before a beginning, otherwise as written. */
  order(): number[] {
    const { addresses, flags } = this;
    const order = Array.from(addresses, (_, i) => i);
    order.sort((a, b) => addresses[a]! - addresses[b]! || (flags[b]! & FLAG.end) - (flags[a]! & FLAG.end) || a - b);
    return order;
  }
}

/** The line table of a unit; null if it has none. Throws DWARF_INVALID. */
export const readLineTable = (unit: Unit): LineTable | null => {
  const { base } = unit;
  const list = attributeOf(base.root, AT.stmtList);
  if (list === null || typeof list.value !== 'number') return null;
  const section = base.file.section('.debug_line');
  const head = section.bytes(list.value, 12);
  if (head.length < 12) return null;
  const wide = head.readUInt32LE(0) === 0xffffffff;
  const length = wide ? Number(head.readBigUInt64LE(4)) : head.readUInt32LE(0);
  const bytes = section.bytes(list.value, Math.min(length, MAX_PROGRAM) + (wide ? 12 : 4));
  const cursor = new Cursor(bytes, wide ? 12 : 4, bytes.length, 'DWARF_INVALID');
  const offset = (): number => (wide ? cursor.u64() : cursor.u32());
  const version = cursor.u16();
  if (version < 2 || version > 5) return null;
  if (version >= 5) cursor.skip(2);
  const headerLength = offset();
  const program = cursor.at + headerLength;
  const minimum = cursor.u8();
  if (version >= 4) cursor.skip(1);
  const statement = cursor.u8() === 1;
  const lineBase = (cursor.u8() << 24) >> 24;
  const lineRange = cursor.u8();
  const opcodeBase = cursor.u8();
  const lengths: number[] = [0];
  for (let i = 1; i < opcodeBase; i++) lengths.push(cursor.u8());
  const directory = stringOf(unit.full.root, AT.compDir) || stringOf(base.root, AT.compDir);
  const files = version >= 5 ? readFiles(cursor, base, wide) : readOldFiles(cursor, directory);
  if (lineRange === 0) return cursor.fail('a line table without a range of lines');
  const code = new Cursor(bytes, program, bytes.length, 'DWARF_INVALID');
  return new LineTable(files, runProgram(code, { minimum, statement, lineBase, lineRange, opcodeBase, lengths }));
};

const joined = (folder: string, name: string): string =>
  folder === '' || name.startsWith('/') ? name : `${folder.replace(/\/$/, '')}/${name}`;

const readOldFiles = (cursor: Cursor, _directory: string): Files => {
  const folders = [''];
  for (let name = cursor.cstring(); name !== '' && folders.length < MAX_FILES; name = cursor.cstring())
    folders.push(name);
  const names: string[] = [];
  for (let name = cursor.cstring(); name !== '' && names.length < MAX_FILES; name = cursor.cstring()) {
    names.push(joined(folders[cursor.uleb()] ?? '', name));
    cursor.uleb();
    cursor.uleb();
  }
  return { names, first: 1 };
};

const CONTENT = { path: 1, directory: 2 } as const;

const readFiles = (cursor: Cursor, unit: Unit, wide: boolean): Files => {
  const entries = (): { path: string; directory: number }[] => {
    const formats: [number, number][] = [];
    for (let n = cursor.u8(); n > 0; n--) formats.push([cursor.uleb(), cursor.uleb()]);
    const count = cursor.uleb();
    const found: { path: string; directory: number }[] = [];
    if (count > MAX_FILES || (formats.length === 0 && count > 0)) cursor.fail('too many files in a line table');
    for (let i = 0; i < count; i++) {
      const entry = { path: '', directory: 0 };
      for (const [content, form] of formats) {
        const value = readContent(cursor, unit, form, wide);
        if (content === CONTENT.path) entry.path = String(value);
        else if (content === CONTENT.directory) entry.directory = Number(value);
      }
      found.push(entry);
    }
    return found;
  };
  const folders = entries().map(({ path }) => path);
  // Folder 0 is the compilation's own, and other folders may be relative to it.
  return {
    names: entries().map(({ path, directory }) => joined(directory === 0 ? '' : (folders[directory] ?? ''), path)),
    first: 0,
  };
};

const readContent = (cursor: Cursor, unit: Unit, form: number, wide: boolean): string | number => {
  const offset = (): number => (wide ? cursor.u64() : cursor.u32());
  switch (form) {
    case FORM.string:
      return cursor.cstring();
    case FORM.lineStrp:
      return unit.file.section('.debug_line_str').string(offset());
    case FORM.strp:
      return unit.file.section('.debug_str').string(offset());
    case FORM.strpSup:
      return unit.info.supplement?.file.section('.debug_str').string(offset()) ?? '';
    case FORM.strx:
      return unit.indexedString(cursor.uleb());
    case FORM.strx1:
      return unit.indexedString(cursor.u8());
    case FORM.strx2:
      return unit.indexedString(cursor.u16());
    case FORM.strx4:
      return unit.indexedString(cursor.u32());
    case FORM.udata:
      return cursor.uleb();
    case FORM.data1:
      return cursor.u8();
    case FORM.data2:
      return cursor.u16();
    case FORM.data4:
      return cursor.u32();
    case FORM.data8:
      return cursor.u64();
    case FORM.data16:
      cursor.skip(16);
      return 0;
    case FORM.block:
      cursor.skip(cursor.uleb());
      return 0;
    case FORM.block1:
      cursor.skip(cursor.u8());
      return 0;
    default:
      return cursor.fail(`form 0x${form.toString(16)} in a line table is not known`);
  }
};

interface Settings {
  readonly minimum: number;
  readonly statement: boolean;
  readonly lineBase: number;
  readonly lineRange: number;
  readonly opcodeBase: number;
  readonly lengths: readonly number[];
}

/** Each step takes at least a byte: the program's own length bounds the work. */
const runProgram = (code: Cursor, settings: Settings): Rows => {
  const { minimum, statement, lineBase, lineRange, opcodeBase, lengths } = settings;
  const rows = new Rows();
  let address = 0;
  let file = 1;
  let line = 1;
  let isStatement = statement;
  let prologueEnd = false;
  /** Code that the linker dropped keeps rows at address 0. */
  let dropped = true;
  const emit = (end = 0): void => {
    if (!dropped) {
      if (rows.lines.length >= MAX_ROWS) code.fail('too many rows in a line table');
      rows.add(
        address,
        Math.max(line, 0),
        file,
        (isStatement ? FLAG.statement : 0) | (prologueEnd ? FLAG.prologueEnd : 0) | end,
      );
    }
    prologueEnd = false;
  };
  while (!code.done) {
    const op = code.u8();
    if (op >= opcodeBase) {
      const adjusted = op - opcodeBase;
      address += Math.floor(adjusted / lineRange) * minimum;
      line += lineBase + (adjusted % lineRange);
      emit();
      continue;
    }
    switch (op) {
      case 0: {
        const length = code.uleb();
        const end = code.at + length;
        if (length === 0) break;
        const extended = code.u8();
        if (extended === 1) {
          emit(FLAG.end);
          address = 0;
          file = 1;
          line = 1;
          isStatement = statement;
          dropped = true;
        } else if (extended === 2 && length >= 9) {
          address = code.u64();
          dropped = address === 0 || address >= 2 ** 63;
        }
        code.skip(end - code.at);
        break;
      }
      case 1:
        emit();
        break;
      case 2:
        address += code.uleb() * minimum;
        break;
      case 3:
        line += code.sleb();
        break;
      case 4:
        file = code.uleb();
        break;
      case 5:
        code.uleb();
        break;
      case 6:
        isStatement = !isStatement;
        break;
      case 7:
      case 11:
        break;
      case 8:
        address += Math.floor((255 - opcodeBase) / lineRange) * minimum;
        break;
      case 9:
        address += code.u16();
        break;
      case 10:
        prologueEnd = true;
        break;
      case 12:
        code.uleb();
        break;
      default:
        for (let n = lengths[op] ?? 0; n > 0; n--) code.uleb();
    }
  }
  return rows;
};

/** Name of the source file that a unit was compiled from. */
export const sourceOf = (unit: Unit): string => stringOf(unit.full.root, AT.name) || stringOf(unit.root, AT.name);

/** Exported for files that carry names outside of units. */
export const nameAt = stringAt;
