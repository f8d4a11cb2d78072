import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { sourceOfBuffer, sourceOfFile } from '../../../producers/memory/elf/byte-source.js';
import { crc32 } from '../../../producers/memory/elf/crc32.js';
import { parseElf } from '../../../producers/memory/elf/elf.js';
import { symbolEntries } from '../../../producers/memory/elf/symbol-sections.js';
import { SymbolTable } from '../../../producers/memory/elf/symbols.js';
import { compile, noCompiler } from '../../support/device.js';
import { temporaryFolder } from '../../support/tmp.js';

const suite = noCompiler === '' ? describe : describe.skip;
const folder = temporaryFolder('symbols');

/** What binutils says: functions that are defined, by address. */
const nm = (program: string, ...flags: string[]): { start: number; size: number; name: string }[] =>
  execFileSync('nm', ['-S', ...flags, program], { encoding: 'utf8' })
    .split('\n')
    .map((line) => /^([0-9a-f]+) ([0-9a-f]+) [tTwWiu] (\S+)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, start, size, name]) => ({
      start: Number.parseInt(start!, 16),
      size: Number.parseInt(size!, 16),
      name: name!,
    }));

const LIBRARY = '/lib/x86_64-linux-gnu/libc.so.6';

suite(`symbols ${noCompiler}`, () => {
  const source = join(folder, 'program.c');
  writeFileSync(
    source,
    `__asm__(".text\\n.type bare,@function\\nbare:\\n nop\\n nop\\n nop\\n ret\\n.globl after\\nafter:\\n ret\\n.size sized,3\\n.type sized,@function\\nsized:\\n nop\\n.globl inside\\ninside:\\n nop\\n ret\\n");
     int alias_of(int x) __attribute__((alias("_inner"), noinline)); int global_count = 7;
     __attribute__((noinline)) int _inner(int x) { return x * 3; }
     int main(int argc, char **argv) { (void)argv; return _inner(argc) + alias_of(argc) + global_count; }`,
  );
  const program = compile(source, folder, 'program', ['-O1', '-g']);
  const open = (path: string): SymbolTable => new SymbolTable(parseElf(sourceOfBuffer(readFileSync(path))));

  test('every function of a library has the extent and a name that binutils gives it, byte for byte of its range', () => {
    const fd = openSync(LIBRARY, 'r');
    const table = new SymbolTable(parseElf(sourceOfFile(fd)));
    const wrong = nm(LIBRARY, '-D')
      .filter(({ size }) => size > 0)
      .filter(({ start, size, name }) => {
        const first = table.covering(start)!;
        const last = table.covering(start + size - 1);
        return !first.names.includes(name.split('@')[0]!) || first.start !== start || last === null;
      });
    closeSync(fd);
    expect(wrong).toEqual([]);
  });

  test('nothing outside of a function has a name, and all names of an address are told', () => {
    const table = open(program);
    const inner = table.named('_inner')!;
    expect(inner.names).toEqual(['alias_of', '_inner']);
    expect(table.covering(inner.start + inner.size)?.names ?? []).not.toContain('_inner');
    expect(table.covering(0)).toBeNull();
    expect(table.covering(2 ** 48)).toBeNull();
  });

  test('a function in assembly without a size reaches up to the next symbol', () => {
    const table = open(program);
    const bare = table.named('bare')!;
    expect(bare.size).toBe(4);
    expect(table.covering(bare.start + 3)?.names).toEqual(['bare']);
    expect(table.covering(bare.start + 4)?.names ?? []).not.toContain('bare');
  });

  test('a global label in assembly is a function, unless it is within one', () => {
    const table = open(program);
    const after = table.named('after')!;
    expect(after.size).toBe(1);
    expect(table.covering(after.start)?.names).toEqual(['after']);
    const sized = table.named('sized')!;
    for (const at of [0, 1, 2]) expect(table.covering(sized.start + at)?.names).toEqual(['sized']);
  });

  test('variables are found by name', () => {
    expect(open(program).object('global_count')).toMatchObject({ size: 4 });
    expect(open(program).object('main')).toBeNull();
  });

  test('without section headers the dynamic symbols are found as the dynamic linker finds them', () => {
    const bytes = readFileSync(LIBRARY);
    const whole = symbolEntries(parseElf(sourceOfBuffer(bytes)));
    bytes.fill(0, 0x28, 0x30);
    bytes.writeUInt16LE(0, 0x3c);
    const elf = parseElf(sourceOfBuffer(bytes));
    expect(elf.sections).toEqual([]);
    expect(symbolEntries(elf).bytes.equals(whole.bytes)).toBe(true);
    expect(new SymbolTable(elf).named('printf')).not.toBeNull();
  });

  test('ten thousand functions of one name, at one address or at many, cost no more than others', () => {
    const text = (i: number): string => `.globl many${i}\n.type many${i},@function\n.size many${i},1\nmany${i}:\n`;
    for (const [name, between] of [
      ['one', ''],
      ['many', 'nop\n'],
    ] as const) {
      const assembly = join(folder, `${name}.s`);
      writeFileSync(assembly, `.text\n${Array.from({ length: 10_000 }, (_, i) => text(i) + between).join('')}ret\n`);
      const object = join(folder, `${name}.so`);
      execFileSync('gcc', ['-shared', '-nostdlib', '-o', object, assembly]);
      const bytes = readFileSync(object);
      // All get the first one's name.
      const elf = parseElf(sourceOfBuffer(bytes));
      const section = elf.sections.find((one) => one.name === '.symtab')!;
      const nameAt = bytes.readUInt32LE(section.offset + 24 * (section.size / 24 - 1));
      for (let at = section.offset; at < section.offset + section.size; at += 24) bytes.writeUInt32LE(nameAt, at);
      const table = new SymbolTable(parseElf(sourceOfBuffer(bytes)));
      expect(table.length).toBe(10_000);
      const before = process.memoryUsage().heapUsed;
      const began = performance.now();
      const start = table.covering(elf.loads.find((load) => load.executable)!.vaddr)!;
      expect(start.names).toHaveLength(1);
      expect(table.named(start.names[0]!)?.start).toBe(start.start);
      expect(performance.now() - began).toBeLessThan(10_000);
      expect(process.memoryUsage().heapUsed - before).toBeLessThan(8_000_000);
    }
  });

  test('the checksum is that of ISO 3309, in one piece or several', () => {
    expect(crc32(Buffer.from('123456789'))).toBe(0xcbf43926);
    expect(crc32(Buffer.from('6789'), crc32(Buffer.from('12345')))).toBe(0xcbf43926);
  });
});
