import { DebugInfo } from '../../producers/memory/dwarf/debug-info.js';
import { describeFrame } from '../../producers/memory/dwarf/describe.js';
import { globalVariables } from '../../producers/memory/dwarf/globals.js';
import { sectionBytes } from '../../producers/memory/elf/elf.js';
import { isAttestreamError } from '../../schemas/errors.js';
import { dwarfVectors } from '../support/dwarf-vectors.js';
import { filledMemory, frameView } from '../support/frame-view.js';
import type { FuzzTarget } from '../support/fuzz.js';
import { withSections } from '../support/replaced-sections.js';

const files = dwarfVectors();
const HEAD = 3;

const guarded = (work: () => void): void => {
  try {
    work();
  } catch (error) {
    if (!isAttestreamError(error) || error.code === 'INTERNAL') throw error;
  }
};

/** Units with their entries and abbreviations: the first byte says of which file, two more how long the abbreviations are. */
export const target: FuzzTarget = {
  seeds: () =>
    files.map(({ elf }, i) => {
      const abbreviations = sectionBytes(elf, '.debug_abbrev');
      const head = Buffer.from([i, abbreviations.length & 0xff, abbreviations.length >> 8]);
      return Buffer.concat([head, abbreviations, sectionBytes(elf, '.debug_info')]);
    }),
  run: (input) => {
    if (input.length < HEAD) return;
    const { elf } = files[input[0]! % files.length]!;
    const end = Math.min(input.length, HEAD + input.readUInt16LE(1));
    const broken = withSections(elf, {
      '.debug_abbrev': input.subarray(HEAD, end),
      '.debug_info': input.subarray(end),
    });
    const info = new DebugInfo(broken);
    const module = { elf: broken, info };
    const caller = frameView(broken, 0x1763, { module, register: () => 0x1000n });
    for (const vaddr of [0x1180, 0x1300, 0x1500, 0x1566, 0x1700, 0x1763, 0x1850, 0x401300, 0x401700])
      guarded(
        () =>
          void describeFrame(frameView(broken, vaddr, { module, caller, register: () => 0x1000n }), filledMemory(1)),
      );
    guarded(() => void globalVariables(info, ['counter', 'last', 'things', 'waits.c:ready']));
  },
};
