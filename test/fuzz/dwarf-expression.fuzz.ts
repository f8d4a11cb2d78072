import { DebugInfo } from '../../producers/memory/dwarf/debug-info.js';
import { type Evaluation, evaluate } from '../../producers/memory/dwarf/expression.js';
import { locationText } from '../../producers/memory/dwarf/location-text.js';
import { collect } from '../../producers/memory/dwarf/object-bytes.js';
import { dwarfVectors } from '../support/dwarf-vectors.js';
import { filledMemory, frameView } from '../support/frame-view.js';
import type { FuzzTarget } from '../support/fuzz.js';

const { elf } = dwarfVectors()[0]!;
const unit = new DebugInfo(elf).units[0]!;
const frame = frameView(elf, 0x1763, { register: (number) => (number < 20 ? BigInt(number) << 40n : null) });
const memory = filledMemory(0xa5);

const evaluation: Evaluation = {
  unit,
  frame,
  memory,
  bias: 0x5555_0000_0000,
  depth: 0,
  frameBase: () => 0x7fff_0000_1000n,
  entryValue: () => 7n,
  passedValue: () => 'not told',
};

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

/** Location expressions: every operation in some seed, loops and pieces among them. */
export const target: FuzzTarget = {
  seeds: () => [
    hex('91 6c'),
    hex('a3 01 55 9f'),
    hex('f3 01 55 23 08 9f'),
    hex('73 00 06 23 10 94 04 11 7f 1e 9f'),
    hex('55 93 04 30 93 04 9d 08 00 54 93 08'),
    hex('9e 04 01 02 03 04'),
    hex('30 31 22 12 13 14 15 00 16 17 19 1a 1b 1c 1d'),
    hex('08 01 09 ff 0a 00 01 0b 00 01 0c 00 00 00 01 0d 00 00 00 01 0e 0000000000000001 10 7f 11 7f 9f'),
    hex('35 34 24 25 26 27 20 1f 21 29 2a 2b 2c 2d 2e 9f'),
    hex('31 28 01 00 96 2f fd ff'),
    hex('a5 11 2e a8 2e a9 2e a8 00 9f'),
    hex('a4 2e 08 000000000000f03f a8 00 9f'),
    hex('76 00 a6 04 2e 9c 1c 9f'),
    hex('90 08 93 08 92 07 08 06 93 08'),
    hex('03 0010000000000000 23 04'),
  ],
  maxBytes: 4096,
  run: (input) => {
    locationText(input);
    const placed = evaluate(input, evaluation);
    for (const size of [1, 4, 8, 16, 64]) {
      const { bytes, known, why } = collect(placed, size, (number) => frame.register(number), memory);
      if (bytes === null ? why === '' : bytes.length < size || (known !== null && known.length !== size))
        throw new Error(`an object of ${bytes?.length} bytes where ${size} were asked for: ${why}`);
    }
  },
};
