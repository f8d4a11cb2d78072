import { DebugInfo } from '../../producers/memory/dwarf/debug-info.js';
import { readLineTable } from '../../producers/memory/dwarf/line-table.js';
import { sectionBytes } from '../../producers/memory/elf/elf.js';
import { dwarfVectors } from '../support/dwarf-vectors.js';
import type { FuzzTarget } from '../support/fuzz.js';
import { withSections } from '../support/replaced-sections.js';

const files = dwarfVectors();

/** Line number programs; the first byte says of which file. */
export const target: FuzzTarget = {
  seeds: () => files.map(({ elf }, i) => Buffer.concat([Buffer.from([i]), sectionBytes(elf, '.debug_line')])),
  maxBytes: 16 * 1024,
  run: (input) => {
    if (input.length === 0) return;
    const { elf } = files[input[0]! % files.length]!;
    const info = new DebugInfo(withSections(elf, { '.debug_line': input.subarray(1) }));
    const table = readLineTable(info.units[0]!);
    for (let vaddr = 0x1000; vaddr < 0x2000; vaddr += 61) {
      table?.at(vaddr);
      table?.prologueEnd(vaddr, vaddr + 0x100);
    }
  },
};
