import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { type ByteSource, sourceOfBuffer } from '../../producers/memory/elf/byte-source.js';
import { bytesAt } from '../../producers/memory/elf/elf.js';
import { openModule } from '../../producers/memory/locate/module.js';
import { codeOf } from '../../producers/memory/unwind/module-code.js';
import { vector } from '../support/vectors.js';

/** One call of so many: each follows its function from the beginning. */
const EVERY = 2;

interface Agreement {
  readonly wrong: readonly string[];
  readonly calls: number;
  /** Of the calls, those at which following the instructions sizes the frame. */
  readonly decided: number;
}

/**
 * At every call of a file: the frame's size and saved registers found by following the instructions, against what the compiler
 * said. Both are there in glibc; where only the instructions are, in musl, they have to be right alone.
 */
const agreement = (source: ByteSource): Agreement => {
  const module = openModule('libc', source, null);
  const code = codeOf(module);
  const architecture = code.architecture!;
  const wrong: string[] = [];
  let seen = 0;
  let calls = 0;
  let decided = 0;
  for (const load of module.elf.loads.filter(({ executable }) => executable)) {
    const bytes = bytesAt(module.elf, load.vaddr, load.fileSize);
    for (let at = 0; at < bytes.length; ) {
      const told = architecture.step(bytes, at, architecture.entryState);
      const after = load.vaddr + at + told.length;
      at += Math.max(1, told.length);
      if (told.flow !== 'call') continue;
      const row = module.cfi.at(after - 1);
      const symbol = module.symbols.covering(after - 1);
      // Parts that the compiler has put elsewhere begin with a frame that is up already.
      if (row === null || row.cfa.expression !== null || symbol === null || symbol.start !== row.start) continue;
      if (seen++ % EVERY !== 0) continue;
      calls++;
      const flow = code.flow({ start: row.start, size: row.size, told: 'cfi' }, after, true);
      if (flow === null) continue;
      const { register, offset } = row.cfa;
      const ours =
        register === architecture.stackPointer
          ? flow.slack === 0
            ? flow.depth
            : null
          : register === architecture.framePointer
            ? flow.fpDepth
            : null;
      if (ours === null) continue;
      decided++;
      const where = `${symbol.names[0]}+0x${(after - row.start).toString(16)}`;
      if (ours !== offset) wrong.push(`${where}: ${ours}, told ${offset}`);
      for (const [saved, depth] of flow.saved) {
        const rule = row.registers.get(saved);
        if (depth !== null && rule?.kind === 'offset' && rule.offset !== -depth)
          wrong.push(`${where}: register ${saved} at ${-depth}, told ${rule.offset}`);
      }
      for (const [saved, rule] of row.registers)
        if (rule.kind === 'offset' && architecture.calleeSaved.has(saved) && saved < 64 && !flow.saved.has(saved))
          wrong.push(`${where}: register ${saved} is saved, not seen`);
    }
  }
  return { wrong, calls, decided };
};

describe('what instructions do to the stack', () => {
  test('of arm64: as the compiler says at every call of the C library', () => {
    const { wrong, calls, decided } = agreement(sourceOfBuffer(vector('arm64/lib/libc.so.6.gz')));
    expect(wrong.slice(0, 20)).toEqual([]);
    expect(calls).toBeGreaterThan(1000);
    expect(decided / calls).toBeGreaterThan(0.95);
  });

  const libc = '/lib/x86_64-linux-gnu/libc.so.6';
  (existsSync(libc) ? test : test.skip)('of x86-64: as the compiler says at every call of the C library', () => {
    const { wrong, calls, decided } = agreement(sourceOfBuffer(readFileSync(libc)));
    expect(wrong.slice(0, 20)).toEqual([]);
    expect(calls).toBeGreaterThan(1000);
    expect(decided / calls).toBeGreaterThan(0.97);
  });
});
