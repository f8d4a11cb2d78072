import { bytesAt, type Elf, type Segment, sectionBytes } from '../elf/elf.js';
import type { Architecture } from './architecture.js';

/** Code beyond this is not read for its calls, and data not for pointers to code. */
const MAX_CODE = 8 * 1024 * 1024;
const MAX_DATA = 1024 * 1024;
/** Sections that may hold pointers to functions: in programs that are not moved, constants too. */
const POINTING = /^\.(?:data|rodata|init_array|fini_array)/;
/** Functions begin at multiples of it where anything was filled up. */
const ALIGNMENT = 16;
const SYMBOL = 24;
const STT_FUNC = 2;
const STT_GNU_IFUNC = 10;
const SHT_RELA = 4;
/** Rounds of finding functions that only jumps from functions lead to. */
const MAX_ROUNDS = 4;

/** Where the functions of a file begin, as far as anything in it tells. */
export interface FunctionStarts {
  /** Link-time addresses, sorted. */
  readonly starts: Float64Array;
  /** Those that something points to: only they can be called through a pointer. */
  readonly pointedTo: ReadonlySet<number>;
  /** Nothing was left out when looking for pointers. */
  readonly whole: boolean;
}

/** Starts that symbols tell, those without a size among them: functions in assembly often have none. */
const fromSymbols = (elf: Elf, starts: Set<number>, pointedTo: Set<number>): void => {
  for (const section of elf.sections) {
    if (section.name !== '.symtab' && section.name !== '.dynsym') continue;
    const bytes = sectionBytes(elf, section);
    for (let at = 0; at + SYMBOL <= bytes.length; at += SYMBOL) {
      const type = bytes[at + 4]! & 0xf;
      if ((type !== STT_FUNC && type !== STT_GNU_IFUNC) || bytes.readUInt16LE(at + 6) === 0) continue;
      const start = Number(bytes.readBigUInt64LE(at + 8));
      starts.add(start);
      // Other files may point to what is exported.
      if (section.name === '.dynsym') pointedTo.add(start);
    }
  }
};

/** What one pass over a segment's code finds. */
interface Sweep {
  readonly load: Segment;
  readonly calls: readonly number[];
  readonly taken: readonly number[];
  readonly jumps: readonly (readonly [site: number, target: number])[];
  /** Instructions behind ones that do not go on, and padding: what no path enters from above. */
  readonly entered: ReadonlySet<number>;
}

const sweep = (elf: Elf, architecture: Architecture, load: Segment): Sweep => {
  const code = bytesAt(elf, load.vaddr, Math.min(load.fileSize, MAX_CODE));
  const calls: number[] = [];
  const taken: number[] = [];
  const jumps: [number, number][] = [];
  const entered = new Set<number>();
  let open = false;
  // A function may end with a call that does not return; the next one is then aligned, behind padding.
  let behindCall = false;
  for (let at = 0; at < code.length; ) {
    const told = architecture.step(code, at, architecture.entryState);
    const here = load.vaddr + at;
    const padding = architecture.padding(code, at);
    if (!open || (behindCall && !padding && here % ALIGNMENT === 0)) entered.add(here);
    const inside = told.target >= 0 && told.target < code.length;
    if (told.flow === 'call' && inside) calls.push(load.vaddr + told.target);
    else if (told.flow === 'jump' && inside) jumps.push([here, load.vaddr + told.target]);
    const address = architecture.takesAddress(code, at, here);
    if (address !== null) taken.push(address);
    // Padding keeps what was before it.
    if (open || !padding) open = told.flow !== 'jump' && told.flow !== 'end';
    behindCall = told.flow === 'call' || (behindCall && padding);
    at += Math.max(1, told.length);
  }
  return { load, calls, taken, jumps, entered };
};

/** Bytes of a program's first instructions. */
const ENTRY_CODE = 64;

/** What a program's first instructions take the address of is `main` and the like, even where it lies behind a call that does not return. */
const fromEntry = (elf: Elf, architecture: Architecture): number[] => {
  const code = bytesAt(elf, elf.entry, ENTRY_CODE);
  const found: number[] = [];
  for (let at = 0; at < code.length; ) {
    const told = architecture.step(code, at, architecture.entryState);
    const address = architecture.takesAddress(code, at, elf.entry + at);
    if (address !== null) found.push(address);
    if (told.flow !== 'next') break;
    at += Math.max(1, told.length);
  }
  const isCode = (address: number): boolean =>
    elf.loads.some(({ executable, vaddr, fileSize }) => executable && address >= vaddr && address < vaddr + fileSize);
  return found.filter(isCode);
};

/** Words of data that point into code: tables of functions. */
const pointers = (elf: Elf, architecture: Architecture): number[] => {
  const found: number[] = [];
  for (const section of elf.sections) {
    if (section.type === SHT_RELA && section.name.startsWith('.rela')) {
      const bytes = sectionBytes(elf, section);
      for (let at = 0; at + 24 <= bytes.length; at += 24)
        if (bytes.readUInt32LE(at + 8) === architecture.relativeRelocation)
          found.push(Number(bytes.readBigInt64LE(at + 16)));
    } else if (POINTING.test(section.name)) {
      const bytes = bytesAt(elf, section.vaddr, Math.min(section.size, MAX_DATA));
      for (let at = 0; at + 8 <= bytes.length; at += 8) found.push(Number(bytes.readBigUInt64LE(at)));
    }
  }
  return found;
};

export const functionStarts = (elf: Elf, architecture: Architecture | null): FunctionStarts => {
  const starts = new Set<number>([elf.entry]);
  const pointedTo = new Set<number>([elf.entry]);
  try {
    fromSymbols(elf, starts, pointedTo);
    if (architecture !== null) {
      const sweeps = elf.loads.filter(({ executable }) => executable).map((load) => sweep(elf, architecture, load));
      const entered = (address: number): boolean => sweeps.some((swept) => swept.entered.has(address));
      for (const { calls } of sweeps) for (const call of calls) starts.add(call);
      for (const address of [...sweeps.flatMap(({ taken }) => taken), ...pointers(elf, architecture)])
        if (entered(address)) {
          starts.add(address);
          pointedTo.add(address);
        }
      for (const address of fromEntry(elf, architecture)) {
        starts.add(address);
        pointedTo.add(address);
      }
      fromTailCalls(starts, sweeps, entered);
    }
  } catch {
    // What was found until then is still true.
  }
  const whole =
    elf.sections.some(({ name }) => POINTING.test(name)) &&
    elf.loads.every(({ executable, fileSize }) => !executable || fileSize <= MAX_CODE) &&
    elf.sections.every(({ name, size }) => !POINTING.test(name) || size <= MAX_DATA);
  return { starts: Float64Array.from(starts).sort(), pointedTo, whole };
};

/** Functions that others only jump to: targets outside of the jumping function that no path enters from above. */
const fromTailCalls = (starts: Set<number>, sweeps: readonly Sweep[], entered: (address: number) => boolean): void => {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const sorted = Float64Array.from(starts).sort();
    const before = starts.size;
    for (const { jumps } of sweeps)
      for (const [site, target] of jumps)
        if (!starts.has(target) && entered(target) && last(sorted, site) !== last(sorted, target)) starts.add(target);
    if (starts.size === before) return;
  }
};

/** Index of the last start at or before an address; -1 if none. */
const last = (starts: Float64Array, vaddr: number): number => {
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (starts[middle]! <= vaddr) low = middle + 1;
    else high = middle;
  }
  return low - 1;
};

/** The last start at or before an address, with the way to the next one as its size; null if there is none. */
export const nearestStart = (starts: Float64Array, vaddr: number): { start: number; size: number } | null => {
  const index = last(starts, vaddr);
  const start = starts[index];
  if (start === undefined) return null;
  return { start, size: (starts[index + 1] ?? start + 64 * 1024) - start };
};
