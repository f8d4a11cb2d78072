import { sourceOfBuffer } from '../../producers/memory/elf/byte-source.js';
import { parseElf, sectionBytes } from '../../producers/memory/elf/elf.js';
import { FrameSection } from '../../producers/memory/unwind/frame-section.js';
import type { FuzzTarget } from '../support/fuzz.js';
import { vector } from '../support/vectors.js';

const ADDRESS = 0x10000;

/** `.eh_frame` of real programs; the first byte says whether to read it as `.debug_frame` instead. */
const seeds = (): Buffer[] =>
  ['c-O2', 'c-O2-pac', 'cxx-O0'].flatMap((name) => {
    const elf = parseElf(sourceOfBuffer(vector(`arm64/bin/${name}.gz`)));
    const bytes = sectionBytes(elf, '.eh_frame').subarray(0, 8 * 1024);
    return [Buffer.concat([Buffer.from([1]), bytes]), Buffer.concat([Buffer.from([0]), bytes])];
  });

/** Call frame information: indexed from its beginning, then a row for the first code of each entry and some behind it. */
export const target: FuzzTarget = {
  seeds,
  maxBytes: 16 * 1024,
  run: (input) => {
    const bytes = input.subarray(1);
    const section = new FrameSection(
      {
        eh: (input[0] ?? 0) % 2 === 1,
        address: ADDRESS,
        size: bytes.length,
        read: (offset, length) => bytes.subarray(Math.min(offset, bytes.length), offset + length),
      },
      ADDRESS,
    );
    const { starts, entries } = section.index();
    for (let i = 0; i < Math.min(64, starts.length); i++)
      for (const beyond of [0, 4, 16, 64]) {
        try {
          const row = section.row(entries[i]!, starts[i]! + beyond);
          if (row !== null && !(starts[i]! + beyond < row.start + row.size)) throw new Error('a row for other code');
        } catch (error) {
          // A damaged entry: CallFrameInfo takes any failure to read one for no row.
          if ((error as Error).message === 'a row for other code') throw error;
        }
      }
  },
};
