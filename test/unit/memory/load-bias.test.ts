import { describe, expect, test } from '@jest/globals';
import { type Elf, ET_DYN, ET_EXEC, type Segment } from '../../../producers/memory/elf/elf.js';
import { loadBias } from '../../../producers/memory/locate/load-bias.js';
import { parseMaps } from '../../../producers/memory/locate/proc-files.js';

const load = (
  offset: number,
  vaddr: number,
  fileSize: number,
  executable: boolean,
  memorySize = fileSize,
): Segment => ({
  type: 1,
  executable,
  writable: !executable,
  offset,
  vaddr,
  fileSize,
  memorySize,
  align: 0x1000,
});

const elf = (type: number, ...loads: Segment[]): Elf => ({
  source: { size: 0, read: () => Buffer.alloc(0) },
  type,
  machine: 62,
  entry: 0,
  segments: loads,
  loads,
  ehFrameHeader: null,
  sections: [],
  buildId: '',
});

const maps = (...lines: string[]): ReturnType<typeof parseMaps> =>
  parseMaps(lines.map((line) => `${line} fe:00 7   /p`).join('\n'));

describe('load bias', () => {
  test('of a mapping that begins at its segment, or within it after a change of protection', () => {
    const file = elf(ET_DYN, load(0, 0, 0x800, false), load(0x1000, 0x1000, 0x3000, true));
    const mappings = maps('500000-501000 r--p 00000000', '501000-502000 r-xp 00001000', '502000-504000 r-xp 00002000');
    for (const mapping of mappings.slice(1)) expect(loadBias(file, mapping, mappings)).toBe(0x500000);
  });

  test('of a segment that begins within a page', () => {
    const file = elf(ET_DYN, load(0, 0, 0x11f0, false), load(0x11f0, 0x21f0, 0x3000, true));
    const mappings = maps('500000-502000 r--p 00000000', '502000-506000 r-xp 00001000');
    expect(loadBias(file, mappings[1]!, mappings)).toBe(0x500000);
  });

  test('of two segments of code that share a page of the file: the one that the other mappings agree with', () => {
    const file = elf(
      ET_DYN,
      load(0, 0, 0x1800, true),
      load(0x1800, 0x902800, 0x1000, true),
      load(0x3000, 0xa03000, 0x100, false),
    );
    const mappings = maps('500000-502000 r-xp 00000000', 'e02000-e04000 r-xp 00001000', 'f03000-f04000 rw-p 00003000');
    expect(loadBias(file, mappings[0]!, mappings)).toBe(0x500000);
    expect(loadBias(file, mappings[1]!, mappings)).toBe(0x500000);
  });

  test('on a machine with pages of 64 KiB', () => {
    const file = elf(ET_DYN, load(0, 0, 0x1100, false), load(0x12340, 0x22340, 0x3000, true));
    const mappings = maps('7f0000-800000 r--p 00000000', '810000-820000 r-xp 00010000');
    expect(loadBias(file, mappings[1]!, mappings)).toBe(0x7f0000);
  });

  test('of a program at fixed addresses is none', () => {
    const file = elf(ET_EXEC, load(0, 0x400000, 0x1800, true), load(0x1800, 0x602800, 0x1000, true));
    const mappings = maps('400000-402000 r-xp 00000000', '602000-604000 r-xp 00001000');
    for (const mapping of mappings) expect(loadBias(file, mapping, mappings)).toBe(0);
  });

  test('where nothing of the file can be there', () => {
    const file = elf(ET_DYN, load(0x1000, 0x1000, 0x1000, true), load(0, 0, 0, true, 0x1000));
    const mappings = maps('500000-501000 r-xp 00009000', '600000-601000 r-xp 00000000');
    for (const mapping of mappings) expect(loadBias(file, mapping, mappings)).toBeNull();
    expect(loadBias(elf(ET_DYN), mappings[0]!, mappings)).toBeNull();
  });
});
