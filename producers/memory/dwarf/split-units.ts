import { Cursor } from '../elf/byte-source.js';
import type { Elf } from '../elf/elf.js';
import { AT, UNIT } from './constants.js';
import { DebugFile } from './debug-file.js';
import { type Die, NO_SHARES, numberOf, type Shares, stringOf, Unit } from './unit.js';
import { readUnitHeader, readUnitHeaders } from './unit-headers.js';

const MAX_INDEX = 64 * 1024 * 1024;

/** The attribute that names the file which a skeleton's contents were split into; 0 if it has none. */
const splitNameOf = (root: Die): number =>
  root.abbreviation.names.includes(AT.dwoName)
    ? AT.dwoName
    : root.abbreviation.names.includes(AT.gnuDwoName)
      ? AT.gnuDwoName
      : 0;

const packages = new WeakMap<Elf, DebugFile | null>();

/** The full unit behind a skeleton (DWARF 5, 3.1.3, and GNU's form before it); null if it is none or its file is missing. */
export const openSplitUnit = (skeleton: Unit): Unit | null => {
  const { root, header, info } = skeleton;
  const attribute = splitNameOf(root);
  if (attribute === 0) return null;
  const id = header.signature ?? toId(numberOf(root, AT.gnuDwoId));
  if (id === null) return null;
  const name = stringOf(root, attribute);
  const folder = stringOf(root, AT.compDir);
  const path = name.startsWith('/') || folder === '' ? name : `${folder}/${name}`;
  const elf = info.others.split(path);
  if (elf !== null) {
    const file = new DebugFile(elf, '.dwo');
    const section = file.section('.debug_info');
    for (const found of readUnitHeaders(section, false)) {
      if (found.type === UNIT.splitType) continue;
      const unit = new Unit(info, file, section, found, skeleton);
      if ((found.signature ?? toId(numberOf(unit.root, AT.gnuDwoId))) === id) return unit;
    }
  }
  return fromPackage(skeleton, id);
};

const toId = (value: number | bigint | null): bigint | null => (value === null ? null : BigInt(value));

/** `PROGRAM.dwp` holds the split units of all. An empty path asks for the package of the program itself. */
const fromPackage = (skeleton: Unit, id: bigint): Unit | null => {
  const { info } = skeleton;
  let file = packages.get(info.file.elf);
  if (file === undefined) {
    const elf = info.others.split('');
    file = elf === null ? null : new DebugFile(elf, '.dwo');
    packages.set(info.file.elf, file);
  }
  if (file === null) return null;
  const shares = sharesOf(file, id);
  if (shares === null) return null;
  const section = file.section('.debug_info');
  const { header } = readUnitHeader(section, shares.info, false);
  return header === null ? null : new Unit(info, file, section, header, skeleton, shares);
};

const SECTION = { info: 1, abbreviations: 3, line: 4, lists: 5, strings: 6, ranges: 8 } as const;

/** A unit's row in .debug_cu_index (DWARF 5, 7.3.5); null if the package does not hold it. */
const sharesOf = (file: DebugFile, id: bigint): (Shares & { readonly info: number }) | null => {
  // The index carries no `.dwo` in its name.
  const view = new DebugFile(file.elf).section('.debug_cu_index');
  const bytes = view.bytes(0, Math.min(view.size, MAX_INDEX));
  if (bytes.length < 16) return null;
  const cursor = new Cursor(bytes, 4, bytes.length, 'DWARF_INVALID');
  const columns = cursor.u32();
  const rows = cursor.u32();
  const slots = cursor.u32();
  const rowsAt = 16 + slots * 8;
  const columnsAt = rowsAt + slots * 4;
  const offsetsAt = columnsAt + columns * 4;
  if (columns > 16 || !(offsetsAt + rows * columns * 4 <= bytes.length)) return null;
  for (let slot = 0; slot < slots; slot++) {
    if (bytes.readBigUInt64LE(16 + slot * 8) !== id) continue;
    const row = bytes.readUInt32LE(rowsAt + slot * 4);
    if (row === 0 || row > rows) continue;
    const share = (kind: number): number => {
      for (let column = 0; column < columns; column++)
        if (bytes.readUInt32LE(columnsAt + column * 4) === kind)
          return bytes.readUInt32LE(offsetsAt + ((row - 1) * columns + column) * 4);
      return 0;
    };
    return {
      ...NO_SHARES,
      info: share(SECTION.info),
      abbreviations: share(SECTION.abbreviations),
      line: share(SECTION.line),
      lists: share(SECTION.lists),
      strings: share(SECTION.strings),
      ranges: share(SECTION.ranges),
    };
  }
  return null;
};
