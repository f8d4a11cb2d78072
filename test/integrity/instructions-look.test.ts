import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { sourceOfBuffer } from '../../producers/memory/elf/byte-source.js';
import { bytesAt, parseElf } from '../../producers/memory/elf/elf.js';
import { instructionAt } from '../../producers/memory/unwind/x86-64-instructions.js';
import { buildDevice, noCompiler } from '../support/device.js';
import { temporaryFolder } from '../support/tmp.js';

const suite = noCompiler === '' ? describe : describe.skip;
const folder = temporaryFolder('instructions');

const disassemble = (program: string): string | null => {
  try {
    return execFileSync('objdump', ['-d', '--wide', '--no-show-raw-insn', '-j', '.text', program], {
      encoding: 'utf8',
      maxBuffer: 256 * 1024 * 1024,
    });
  } catch {
    return null;
  }
};

suite(`instructions of real code ${noCompiler}`, () => {
  test('lengths, flow and targets agree with objdump over a statically linked C library', () => {
    const program = buildDevice(folder, ['-O2', '-static'], 'static');
    const text = disassemble(program);
    if (text === null) return;
    const elf = parseElf(sourceOfBuffer(readFileSync(program)));
    const lines = [...text.matchAll(/^ +([0-9a-f]+):\t(.*)$/gm)].map((match) => ({
      at: Number.parseInt(match[1]!, 16),
      text: match[2]!.trim(),
    }));
    const base = lines[0]!.at;
    const code = bytesAt(elf, base, lines.at(-1)!.at - base + 16);
    let compared = 0;
    let unknown = 0;
    const wrong: string[] = [];
    lines.forEach(({ at, text: shown }, i) => {
      const next = lines[i + 1];
      if (next === undefined || shown.includes('(bad)')) return;
      const told = instructionAt(code, at - base);
      const expectation =
        /^(?:bnd |notrack |rep |repz |lock |data16 |cs |addr32 )*(j\w+|call|ret|loop\w*)\b\s*([0-9a-f]+)?/.exec(shown);
      if (told.flow === 'end') {
        // Ends of paths are returns and jumps to anywhere; anything else that ends one is only not understood.
        if (!/\b(ret|jmp|hlt|ud2|int3)/.test(shown)) unknown++;
        return;
      }
      compared++;
      const flow =
        expectation === null
          ? 'next'
          : expectation[1] === 'call'
            ? 'call'
            : expectation[1] === 'jmp'
              ? 'jump'
              : 'branch';
      const target = expectation?.[2] === undefined ? -1 : Number.parseInt(expectation[2], 16) - base;
      if (told.length !== next.at - at || told.flow !== flow || told.target !== target)
        wrong.push(`${at.toString(16)} ${shown}: ${JSON.stringify(told)}, ${next.at - at} bytes`);
    });
    expect(wrong.slice(0, 20)).toEqual([]);
    expect(compared).toBeGreaterThan(100_000);
    expect(unknown / compared).toBeLessThan(0.005);
  });

  test('random bytes are never read past their end', () => {
    const bytes = Buffer.alloc(20_000);
    for (let i = 0, seed = 1; i < bytes.length; i++) {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      bytes[i] = seed >>> 24;
    }
    for (let at = 0; at < bytes.length; at++) {
      const told = instructionAt(bytes, at);
      expect(told.length).toBeGreaterThan(0);
      if (told.flow !== 'end') expect(at + told.length).toBeLessThanOrEqual(bytes.length);
    }
    for (let length = 0; length < 16; length++) instructionAt(bytes.subarray(0, length), 0);
  });
});
