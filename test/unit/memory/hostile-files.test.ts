import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { DebugInfo } from '../../../producers/memory/dwarf/debug-info.js';
import { describeFrame } from '../../../producers/memory/dwarf/describe.js';
import { sourceOfBuffer } from '../../../producers/memory/elf/byte-source.js';
import { type Elf, parseElf } from '../../../producers/memory/elf/elf.js';
import { SymbolTable } from '../../../producers/memory/elf/symbols.js';
import { CallSites } from '../../../producers/memory/unwind/call-sites.js';
import { CallFrameInfo } from '../../../producers/memory/unwind/cfi.js';
import { isAttestreamError } from '../../../schemas/errors.js';
import { buildDevice, noCompiler } from '../../support/device.js';
import { describeAt, filledMemory, frameView } from '../../support/frame-view.js';
import { temporaryFolder } from '../../support/tmp.js';

const suite = noCompiler === '' ? describe : describe.skip;
const folder = temporaryFolder('hostile');
const originals =
  noCompiler === ''
    ? [5, 4].map((version) =>
        readFileSync(buildDevice(folder, ['-O0', '-g', `-gdwarf-${version}`], `device-${version}`)),
      )
    : [];

/** Small, seeded, good enough to scatter damage (mulberry32). */
const generator =
  (seed: number) =>
  (limit: number): number => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  };

/** Everything that looking reads from a file. */
const readAll = (bytes: Buffer): void => {
  const guard = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      if (!isAttestreamError(error)) throw error;
    }
  };
  guard(() => {
    const elf: Elf = parseElf(sourceOfBuffer(bytes));
    guard(() => {
      const symbols = new SymbolTable(elf);
      for (let at = 0; at < 0x4000; at += 97) symbols.covering(at);
      symbols.named('actuate');
    });
    const info = new DebugInfo(elf);
    const caller = frameView(elf, 0x1180, { module: { elf, info } });
    for (let at = 0x1000; at < 0x2000; at += 61)
      guard(() => {
        const view = frameView(elf, at, { module: { elf, info }, caller, register: () => 0x1000n });
        describeFrame(view, filledMemory(at & 0xff));
      });
    guard(() => {
      const calls = new CallSites(elf);
      const cfi = new CallFrameInfo(elf);
      for (let at = 0x1000; at < 0x2000; at += 13) {
        calls.endingAt(at);
        cfi.at(at);
      }
    });
  });
};

const TIME_LIMIT_MS = 5000;

suite(`hostile program files ${noCompiler}`, () => {
  test('the undamaged files tell functions and parameters in both versions of DWARF', () => {
    for (const bytes of originals) {
      const elf = parseElf(sourceOfBuffer(bytes));
      const actuate = new SymbolTable(elf).named('actuate')!;
      const end = actuate.start + actuate.size - 1;
      expect(describeAt(elf, end)).toMatchObject([
        {
          function: 'actuate',
          file: expect.stringMatching(/device\.c$/),
          line: expect.any(Number),
          inlined: false,
          parameters: [
            {
              name: 'level',
              kind: 'int',
              type: 'int',
              value: 0x01010101,
              location: expect.stringMatching(/^fbreg -\d+$/),
            },
            { name: 'valve', kind: 'enum', type: 'enum valve', value: 0x01010101, number: 0x01010101 },
          ],
        },
      ]);
      expect(
        describeAt(elf, end, {}, (_, length) => Buffer.from([2, 0, 0, 0]).subarray(0, length))[0]!.parameters[1],
      ).toMatchObject({ value: 'VALVE_BYPASS', number: 2, unavailable: '' });
      expect(describeAt(elf, actuate.start, { innermost: true })[0]!.parameters[0]).toMatchObject({
        value: null,
        unavailable: 'the function may not have stored its arguments yet',
      });
      const publish = new SymbolTable(elf).named('publish')!;
      expect(describeAt(elf, publish.start + publish.size - 1)[0]!.parameters).toMatchObject([
        { name: 'topic', kind: 'text', type: 'const char *' },
        { name: 'level' },
        { name: 'retained', kind: 'bool', type: '_Bool' },
      ]);
    }
  });

  test('bytes changed anywhere give an answer or an error with a code', () => {
    const began = performance.now();
    let rounds = 0;
    for (const original of originals) {
      const random = generator(7);
      const elf = parseElf(sourceOfBuffer(original));
      const targets = elf.sections.filter(({ name }) => /^\.(debug_|symtab|strtab|dynsym|rela|eh_frame)/.test(name));
      for (let round = 0; round < 400; round++, rounds++) {
        const bytes = Buffer.from(original);
        const changes = 1 + random(8);
        for (let i = 0; i < changes; i++) {
          const section = targets[random(targets.length)]!;
          // A third of the damage goes into the headers, where a byte decides most.
          const at = random(3) === 0 ? random(1024) : section.offset + random(Math.max(1, section.size));
          bytes[at] = [0, 0xff, 0x7f, 0x80, random(256)][random(5)]!;
        }
        readAll(bytes);
      }
    }
    expect(rounds).toBe(800);
    // Far above what it takes: a hang would exceed it by far.
    expect((performance.now() - began) / rounds).toBeLessThan(TIME_LIMIT_MS / 20);
  });

  test('a file cut off anywhere gives an answer or an error with a code', () => {
    const random = generator(11);
    for (const original of originals)
      for (let round = 0; round < 200; round++) readAll(original.subarray(0, random(original.length)));
    expect(() => readAll(Buffer.alloc(0))).not.toThrow();
  });

  test('section headers with impossible sizes take no memory of that size, and the segments still tell of the code', () => {
    const bytes = Buffer.from(originals[0]!);
    const sectionsAt = Number(bytes.readBigUInt64LE(0x28));
    for (let i = 0; i < bytes.readUInt16LE(0x3c); i++)
      bytes.writeBigUInt64LE(0xffffffffffffn, sectionsAt + i * 64 + 0x20);
    const before = process.memoryUsage().arrayBuffers;
    const elf = parseElf(sourceOfBuffer(bytes));
    expect(new CallFrameInfo(elf).at(elf.entry)).not.toBeNull();
    expect(elf.sections.every(({ name }) => name === '')).toBe(true);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024);
  });
});
