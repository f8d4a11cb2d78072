import { isAttestreamError } from '../../../schemas/errors.js';
import type { Elf } from '../elf/elf.js';
import { type Abbreviation, readAbbreviations } from './abbreviations.js';
import { readAddressRanges } from './address-ranges.js';
import { TAG, UNIT } from './constants.js';
import { DebugFile, type SectionView } from './debug-file.js';
import { rangesOf } from './ranges.js';
import { openSplitUnit } from './split-units.js';
import { type Die, Unit, type UnitHeader } from './unit.js';
import { readUnitHeaders } from './unit-headers.js';

const MAX_TABLES = 2048;

/** Files that debug information refers to, as the program's own file system has them; null if they are not there. */
export interface OtherFiles {
  /** What several files share (`.gnu_debugaltlink`). */
  alternate(): Elf | null;
  /** Split debug information by the path that the compiler noted; '' asks for the package of all. */
  split(path: string): Elf | null;
}

const NO_OTHERS: OtherFiles = { alternate: () => null, split: () => null };

interface Covered {
  readonly low: number;
  readonly high: number;
  readonly unit: Unit;
}

/** The debug information of one program file: units by offset, by address and by type signature. Throws DWARF_INVALID. */
export class DebugInfo {
  readonly file: DebugFile;
  readonly others: OtherFiles;
  readonly #tables = new Map<DebugFile, Map<number, ReadonlyMap<number, Abbreviation>>>();
  #units: readonly Unit[] | null = null;
  #types: Map<bigint, Unit> | null = null;
  #covered: { readonly sorted: readonly Covered[]; readonly widest: readonly number[] } | null = null;
  #supplement: DebugInfo | null | undefined;

  constructor(elf: Elf, others: OtherFiles = NO_OTHERS, suffix = '') {
    this.file = new DebugFile(elf, suffix);
    this.others = others;
  }

  get units(): readonly Unit[] {
    this.#units ??= this.#read('.debug_info', false);
    return this.#units;
  }

  #read(name: string, types: boolean): Unit[] {
    const section: SectionView = this.file.section(name);
    return readUnitHeaders(section, types).map((header: UnitHeader) => new Unit(this, this.file, section, header));
  }

  abbreviations(file: DebugFile, offset: number): ReadonlyMap<number, Abbreviation> {
    let tables = this.#tables.get(file);
    if (tables === undefined) {
      tables = new Map();
      this.#tables.set(file, tables);
    }
    const known = tables.get(offset);
    if (known !== undefined) return known;
    if (tables.size >= MAX_TABLES) tables.clear();
    const table = readAbbreviations(file.section('.debug_abbrev'), offset);
    tables.set(offset, table);
    return table;
  }

  /** The unit that holds a section offset; null if none does. */
  unitAt(offset: number): Unit | null {
    const { units } = this;
    let low = 0;
    let high = units.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (units[middle]!.header.start <= offset) low = middle + 1;
      else high = middle;
    }
    const unit = units[low - 1];
    return unit !== undefined && offset < unit.header.end && offset >= unit.header.start + unit.header.size
      ? unit
      : null;
  }

  dieAt(offset: number): Die | null {
    return this.unitAt(offset)?.die(offset) ?? null;
  }

  /** The type with a signature (DWARF 5, 7.32), first in the unit's own file. */
  typeOf(signature: bigint, from: Unit): Die | null {
    const own = from.file === this.file ? undefined : this.#splitTypes(from).get(signature);
    const unit = own ?? this.#typeUnits().get(signature);
    return unit === undefined ? null : unit.die(unit.header.typeAt);
  }

  #typeUnits(): Map<bigint, Unit> {
    if (this.#types !== null) return this.#types;
    this.#types = new Map();
    const all = [...this.units, ...(this.file.has('.debug_types') ? this.#read('.debug_types', true) : [])];
    for (const unit of all)
      if (unit.header.type === UNIT.type && unit.header.signature !== null)
        this.#types.set(unit.header.signature, unit);
    return this.#types;
  }

  readonly #typesOfSplit = new Map<DebugFile, Map<bigint, Unit>>();

  #splitTypes(from: Unit): Map<bigint, Unit> {
    const known = this.#typesOfSplit.get(from.file);
    if (known !== undefined) return known;
    const found = new Map<bigint, Unit>();
    this.#typesOfSplit.set(from.file, found);
    for (const [name, types] of [
      ['.debug_info', false],
      ['.debug_types', true],
    ] as const) {
      const section = from.file.section(name);
      for (const header of readUnitHeaders(section, types))
        if (header.signature !== null && (header.type === UNIT.splitType || header.type === UNIT.type))
          found.set(header.signature, new Unit(this, from.file, section, header, from.skeleton, from.shares));
    }
    return found;
  }

  /** The contents of a unit that was split off; null if nothing was, or if its file is out of reach. */
  splitUnit(unit: Unit): Unit | null {
    return unit.skeleton === null ? openSplitUnit(unit) : null;
  }

  /** What several files share (dwz), named by .gnu_debugaltlink; null if there is none. */
  get supplement(): DebugInfo | null {
    if (this.#supplement !== undefined) return this.#supplement;
    const elf = this.others.alternate();
    this.#supplement = elf === null ? null : new DebugInfo(elf);
    return this.#supplement;
  }

  /** The unit whose code covers a link-time address; null if none does. */
  unitOf(vaddr: number): Unit | null {
    this.#covered ??= this.#cover();
    const { sorted, widest } = this.#covered;
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (sorted[middle]!.low <= vaddr) low = middle + 1;
      else high = middle;
    }
    for (let i = low - 1; i >= 0 && widest[i]! > vaddr; i--) if (vaddr < sorted[i]!.high) return sorted[i]!.unit;
    return null;
  }

  #cover(): { sorted: readonly Covered[]; widest: readonly number[] } {
    const covered: Covered[] = [];
    const listed = new Set<Unit>();
    for (const { unit: at, low, high } of readAddressRanges(this.file.section('.debug_aranges'))) {
      const unit = this.#starting(at);
      if (unit === null) continue;
      listed.add(unit);
      covered.push({ low, high, unit });
    }
    for (const unit of this.units) {
      if (listed.has(unit) || unit.header.type === UNIT.type || unit.header.type === UNIT.partial) continue;
      try {
        const { root } = unit;
        if (root.tag !== TAG.compileUnit && root.tag !== TAG.skeletonUnit) continue;
        for (const { low, high } of rangesOf(root)) covered.push({ low, high, unit });
        unit.release();
      } catch (error) {
        // A damaged unit hides itself, not the others.
        if (!isAttestreamError(error)) throw error;
      }
    }
    covered.sort((a, b) => a.low - b.low || b.high - a.high);
    const widest: number[] = [];
    for (let i = 0, most = 0; i < covered.length; i++) {
      most = Math.max(most, covered[i]!.high);
      widest.push(most);
    }
    return { sorted: covered, widest };
  }

  #starting(offset: number): Unit | null {
    const { units } = this;
    let low = 0;
    let high = units.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (units[middle]!.header.start < offset) low = middle + 1;
      else high = middle;
    }
    return units[low]?.header.start === offset ? units[low]! : null;
  }
}
