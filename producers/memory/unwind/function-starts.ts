import { bytesAt, type Elf, sectionBytes } from '../elf/elf.js';
import type { Architecture } from './architecture.js';

/** Code beyond this is not read for its calls. */
const MAX_CODE = 8 * 1024 * 1024;
const SYMBOL = 24;
const STT_FUNC = 2;
const STT_GNU_IFUNC = 10;

/** Starts that symbols tell, those without a size among them: functions in assembly often have none. */
const fromSymbols = (elf: Elf, starts: Set<number>): void => {
  for (const section of elf.sections) {
    if (section.name !== '.symtab' && section.name !== '.dynsym') continue;
    const bytes = sectionBytes(elf, section);
    for (let at = 0; at + SYMBOL <= bytes.length; at += SYMBOL) {
      const type = bytes[at + 4]! & 0xf;
      if ((type === STT_FUNC || type === STT_GNU_IFUNC) && bytes.readUInt16LE(at + 6) !== 0)
        starts.add(Number(bytes.readBigUInt64LE(at + 8)));
    }
  }
};

const fromCalls = (elf: Elf, architecture: Architecture, starts: Set<number>): void => {
  for (const load of elf.loads) {
    if (!load.executable) continue;
    const code = bytesAt(elf, load.vaddr, Math.min(load.fileSize, MAX_CODE));
    for (let at = 0; at < code.length; ) {
      const told = architecture.step(code, at, architecture.entryState);
      if (told.flow === 'call' && told.target >= 0 && told.target < code.length) starts.add(load.vaddr + told.target);
      at += Math.max(1, told.length);
    }
  }
};

/** Where the functions of a file begin as far as its entry point, its symbols and its own calls tell, sorted. */
export const functionStarts = (elf: Elf, architecture: Architecture | null): Float64Array => {
  const starts = new Set<number>([elf.entry]);
  try {
    fromSymbols(elf, starts);
    if (architecture !== null) fromCalls(elf, architecture, starts);
  } catch {
    // What was found until then is still true.
  }
  return Float64Array.from(starts).sort();
};

/** The last start at or before an address, with the way to the next one as its size; null if there is none. */
export const nearestStart = (starts: Float64Array, vaddr: number): { start: number; size: number } | null => {
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (starts[middle]! <= vaddr) low = middle + 1;
    else high = middle;
  }
  const start = starts[low - 1];
  if (start === undefined) return null;
  return { start, size: (starts[low] ?? start + 64 * 1024) - start };
};
