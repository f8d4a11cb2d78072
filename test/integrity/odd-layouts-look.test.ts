import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { openTarget } from '../../producers/memory/sample/look.js';
import { noCompiler, pause, start } from '../support/device.js';
import { temporaryFolder } from '../support/tmp.js';

const suite = noCompiler === '' ? describe : describe.skip;
const folder = temporaryFolder('layouts');

suite(`programs laid out oddly ${noCompiler}`, () => {
  const source = join(folder, 'program.c');
  writeFileSync(
    source,
    `#include <unistd.h>
     __attribute__((noinline)) int inner(int n) { return pause() + n; }
     __attribute__((noinline)) int outer(int id) { return inner(id + 1) + id; }
     int main(void) { return outer(17); }`,
  );
  // Two segments of code, of which the second begins in the page of the file in which the first ends.
  const split = join(folder, 'split.c');
  writeFileSync(
    split,
    `#include <unistd.h>
     __attribute__((section(".other"), noinline)) int inner(int n) { return pause() + n; }
     __attribute__((section(".other"), noinline)) int outer(int id) { return inner(id + 1) + id; }
     int main(void) { return outer(17); }`,
  );

  test.each([
    ['at a fixed address', source, ['-no-pie']],
    ['at an unusual fixed address', source, ['-no-pie', '-Wl,-Ttext-segment=0x10000000']],
    ['with segments aligned to 2 MiB', source, ['-Wl,-z,max-page-size=0x200000']],
    ['with segments aligned to 64 KiB', source, ['-Wl,-z,max-page-size=0x10000', '-Wl,-z,common-page-size=0x10000']],
    ['with code and constants in one segment', source, ['-Wl,-z,noseparate-code']],
    ['with an executable stack', source, ['-Wl,-z,execstack']],
    ['static and relocatable', source, ['-static-pie']],
    ['with a second segment of code', split, ['-Wl,--section-start=.other=0x900000', '-Wl,-z,noseparate-code']],
    ['packed without section headers', source, []],
  ])('%s', (title, from, flags) => {
    const program = join(folder, title.replace(/\W/g, '-'));
    execFileSync('gcc', ['-O0', '-g', ...flags, '-o', program, from]);
    const headerless = title.includes('without section headers');
    // Names come from the dynamic symbols alone then.
    if (headerless) {
      execFileSync('gcc', ['-O0', '-rdynamic', '-o', program, from]);
      execFileSync('python3', [
        '-c',
        'import sys; f = open(sys.argv[1], "r+b"); f.seek(0x28); f.write(bytes(8)); f.seek(0x3c); f.write(bytes(4))',
        program,
      ]);
    }
    const { pid } = start(program);
    pause(60);
    const target = openTarget(pid);
    const thread = target.look().threads[0]!;
    target.close();
    process.kill(pid, 'SIGKILL');
    expect(thread).toMatchObject({ outcome: 'sampled', complete: true, syscall: { number: 34 } });
    const names = thread.frames.map((frame) => frame.function);
    expect(names.filter((name) => name === 'inner' || name === 'outer' || name === 'main')).toEqual([
      'inner',
      'outer',
      'main',
    ]);
    const value = thread.frames.find((frame) => frame.function === 'outer')!.parameters[0]?.value;
    expect(value).toBe(headerless ? undefined : 17);
  });

  test('the kernel’s own code in the process has names, too', () => {
    const program = join(folder, 'clock');
    writeFileSync(
      join(folder, 'clock.c'),
      '#include <time.h>\nint main(void) { struct timespec t; for (;;) clock_gettime(CLOCK_MONOTONIC, &t); }',
    );
    execFileSync('gcc', ['-O0', '-o', program, join(folder, 'clock.c')]);
    const { pid } = start(program);
    pause(60);
    const target = openTarget(pid);
    const vdso = target.image.mappings.find(({ path }) => path === '[vdso]')!;
    const place = target.image.place(vdso.start + 0x100)!;
    const symbol = place.module.symbols.named('clock_gettime') ?? place.module.symbols.named('__vdso_clock_gettime');
    expect(symbol).not.toBeNull();
    expect(target.image.place(vdso.start + symbol!.start)!.vaddr).toBe(symbol!.start);
    target.close();
    process.kill(pid, 'SIGKILL');
  });
});
