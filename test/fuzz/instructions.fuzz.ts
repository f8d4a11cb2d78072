import { sourceOfBuffer } from '../../producers/memory/elf/byte-source.js';
import { bytesAt, parseElf } from '../../producers/memory/elf/elf.js';
import { ARM64 } from '../../producers/memory/unwind/arm64.js';
import { stackStateAt } from '../../producers/memory/unwind/stack-flow.js';
import { X86_64 } from '../../producers/memory/unwind/x86-64.js';
import type { FuzzTarget } from '../support/fuzz.js';
import { vector } from '../support/vectors.js';

/** Code of real programs for both machines; the first byte says which. */
const codeOf = (name: string, machine: number): Buffer => {
  const elf = parseElf(sourceOfBuffer(vector(name)));
  return Buffer.concat([Buffer.from([machine]), bytesAt(elf, elf.entry, 4096)]);
};

/** Instructions one by one, then followed along their paths to some of them. */
export const target: FuzzTarget = {
  seeds: () => [
    codeOf('arm64/bin/c-O2.gz', 0),
    codeOf('arm64/bin/c-O2-pac.gz', 0),
    codeOf('arm64/bin/cxx-O0.gz', 0),
    codeOf('x86-64/stacks/bin/stacks.gz', 1),
  ],
  maxBytes: 8 * 1024,
  run: (input) => {
    const machine = (input[0] ?? 0) % 2 === 0 ? ARM64 : X86_64;
    const code = input.subarray(1);
    const offsets: number[] = [];
    for (let at = 0; at < code.length; ) {
      const told = machine.step(code, at, machine.entryState);
      if (!(told.length > 0)) throw new Error('an instruction without length');
      if (told.flow !== 'end' && at + told.length > code.length) throw new Error('an instruction beyond the end');
      if (offsets.length < 512) offsets.push(at);
      machine.takesAddress(code, at, 0x1000 + at);
      machine.padding(code, at);
      at += told.length;
    }
    for (let i = 0; i < offsets.length; i += 97)
      stackStateAt(code, code.length, offsets[i]!, i % 2 === 0, machine.entryState, machine.step);
    for (let at = 0; at + machine.longestCall <= Math.min(code.length, 256); at++) {
      machine.callBefore(code.subarray(at, at + machine.longestCall), 0x1000);
      machine.stubSlot(code.subarray(at, at + 32), 0x1000);
    }
    machine.returnsFromSignal(code);
    machine.endsThread(code);
  },
};
