import { DebugInfo } from '../../producers/memory/dwarf/debug-info.js';
import { describeFrame } from '../../producers/memory/dwarf/describe.js';
import { sectionBytes } from '../../producers/memory/elf/elf.js';
import { isAttestreamError } from '../../schemas/errors.js';
import { dwarfVectors } from '../support/dwarf-vectors.js';
import { filledMemory, frameView } from '../support/frame-view.js';
import type { FuzzTarget } from '../support/fuzz.js';
import { withSections } from '../support/replaced-sections.js';

const files = dwarfVectors();
const SECTIONS = ['.debug_loc', '.debug_loclists', '.debug_ranges', '.debug_rnglists', '.debug_addr', '.debug_aranges'];

/** Lists of locations, ranges and addresses: two bytes say of which file and which section the rest is. */
export const target: FuzzTarget = {
  seeds: () =>
    files.flatMap(({ elf }, i) =>
      SECTIONS.flatMap((name, which) => {
        const bytes = sectionBytes(elf, name);
        return bytes.length === 0 ? [] : [Buffer.concat([Buffer.from([i, which]), bytes])];
      }),
    ),
  run: (input) => {
    if (input.length < 2) return;
    const { elf } = files[input[0]! % files.length]!;
    const broken = withSections(elf, { [SECTIONS[input[1]! % SECTIONS.length]!]: input.subarray(2) });
    const module = { elf: broken, info: new DebugInfo(broken) };
    for (let vaddr = 0x1180; vaddr < 0x1a00; vaddr += 0x90)
      try {
        describeFrame(frameView(broken, vaddr, { module, register: () => 0x1000n }), filledMemory(1));
      } catch (error) {
        if (!isAttestreamError(error) || error.code === 'INTERNAL') throw error;
      }
  },
};
