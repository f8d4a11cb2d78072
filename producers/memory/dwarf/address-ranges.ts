import { Cursor } from '../elf/byte-source.js';
import type { SectionView } from './debug-file.js';

const MAX_RANGES = 4_000_000;

/** Code that a unit covers, link-time addresses. */
export interface UnitRange {
  /** Section offset of the unit. */
  readonly unit: number;
  readonly low: number;
  readonly high: number;
}

/** .debug_aranges (DWARF 5, 6.1.2). It only speeds things up: what is damaged is left out. */
export const readAddressRanges = (section: SectionView): readonly UnitRange[] => {
  const found: UnitRange[] = [];
  const bytes = section.bytes(0, section.size);
  try {
    const all = new Cursor(bytes, 0, bytes.length, 'DWARF_INVALID');
    while (!all.done) {
      const start = all.at;
      let length = all.u32();
      const wide = length === 0xffffffff;
      if (wide) length = all.u64();
      const set = new Cursor(bytes, all.at, all.at + length, 'DWARF_INVALID');
      all.skip(length);
      const version = set.u16();
      const unit = wide ? set.u64() : set.u32();
      const addressSize = set.u8();
      const segmentSize = set.u8();
      if (version !== 2 || addressSize !== 8 || segmentSize !== 0) continue;
      // The first pair is aligned to its own size.
      set.skip((16 - ((set.at - start) % 16)) % 16);
      while (set.end - set.at >= 16) {
        const low = set.u64();
        const size = set.u64();
        if (low === 0 && size === 0) break;
        if (low > 0 && size > 0 && found.length < MAX_RANGES) found.push({ unit, low, high: low + size });
      }
    }
  } catch {
    return [];
  }
  return found;
};
