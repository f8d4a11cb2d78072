import { execFileSync } from 'node:child_process';
import { appendFileSync, copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { sourceOfBuffer } from '../../producers/memory/elf/byte-source.js';
import { bytesAt } from '../../producers/memory/elf/elf.js';
import { openEqualFile } from '../../producers/memory/locate/equal-files.js';
import type { Module } from '../../producers/memory/locate/module.js';
import { sharedModules } from '../../producers/memory/locate/shared-modules.js';
import { openTarget, type Target } from '../../producers/memory/sample/look.js';
import { buildDevice, noCompiler, pause, start } from '../support/device.js';
import { temporaryFolder } from '../support/tmp.js';

const suite = noCompiler === '' ? describe : describe.skip;
const folder = temporaryFolder('once');

suite(`program files ${noCompiler}`, () => {
  const program = buildDevice(folder, ['-O0', '-g'], 'device');
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  /** Paths of modules that two processes share. */
  const shared = (a: Target, b: Target): string[] => {
    const modules = (target: Target): Map<string, unknown> =>
      new Map(
        target.image.mappings
          .filter((mapping) => mapping.executable)
          .map((mapping) => target.image.place(mapping.start)?.module)
          .filter((module) => module !== undefined)
          .map((module) => [module.path, module]),
      );
    const others = modules(b);
    return [...modules(a)].filter(([path, module]) => others.get(path) === module).map(([path]) => path);
  };
  const open = (): Target => {
    const { pid } = start(program, ['--cycles', '1000']);
    pause(80);
    return openTarget(pid);
  };

  test('are read once for all processes that run them, and closed with the last', () => {
    const before = descriptors();
    const [a, b] = [open(), open()];
    a.look();
    b.look();
    expect(shared(a, b).some((path) => path === program)).toBe(true);
    expect(shared(a, b).some((path) => /libc\.so/.test(path))).toBe(true);
    a.close();
    b.forget();
    const thread = b.look().threads[0]!;
    expect(thread.outcome).toBe('sampled');
    expect(thread.frames.map((frame) => frame.function)).toContain('main');
    b.close();
    sharedModules.closeIdle();
    expect(descriptors()).toBe(before);
  });

  test('are kept for a moment, since programs that end are often started again', () => {
    const a = open();
    a.look();
    const before = a.image.place(a.image.mappings.find(({ executable }) => executable)!.start)!.module;
    a.close();
    const b = open();
    b.look();
    expect(b.image.place(b.image.mappings.find(({ executable }) => executable)!.start)!.module).toBe(before);
    b.close();
  });

  test('are not taken for each other when one is replaced under its path', () => {
    const a = open();
    a.look();
    copyFileSync(program, join(folder, 'new'));
    appendFileSync(join(folder, 'new'), 'other');
    renameSync(join(folder, 'new'), program);
    const b = open();
    b.look();
    expect(shared(a, b).some((path) => path === program)).toBe(false);
    expect(shared(a, b).some((path) => /libc\.so/.test(path))).toBe(true);
    a.close();
    b.close();
  });

  test('of equal bytes are one, whatever becomes of one of them, and others are not', () => {
    const copy = (name: string): string => {
      mkdirSync(join(folder, name), { recursive: true });
      const path = join(folder, name, 'device');
      copyFileSync(program, path);
      return path;
    };
    // Containers see their files under one path.
    const openIn = (root: string): Target => {
      const { pid } = start('/bin/sh', [
        '-c',
        'exec unshare -m sh -c "mount --bind $1 $2 && exec $2/device --cycles 1000" sh "$@"',
        'sh',
        root,
        join(folder, 'place'),
      ]);
      pause(300);
      return openTarget(pid);
    };
    mkdirSync(join(folder, 'place'), { recursive: true });
    const path = join(folder, 'place', 'device');
    copy('first');
    copy('second');
    appendFileSync(copy('third'), 'more');
    const [a, b] = [openIn(join(folder, 'first')), openIn(join(folder, 'second'))];
    a.look();
    b.look();
    expect(shared(a, b)).toContain(path);
    const c = openIn(join(folder, 'third'));
    c.look();
    expect(shared(a, c)).not.toContain(path);
    a.close();
    b.forget();
    expect(b.look().threads[0]!.frames.map((frame) => frame.function)).toContain('main');
    for (const target of [b, c]) target.close();
    sharedModules.closeIdle();
  });

  test('of equal bytes are held as they were: a process that writes over its own file changes nothing for others', () => {
    const bytes = readFileSync(program);
    const search = { path: '/device', roots: [join(folder, 'nowhere'), ''], downloads: [] };
    const a = openEqualFile('/device', sourceOfBuffer(bytes), search, () => {});
    const size = a.symbols.length;
    bytes.fill(0);
    const b = openEqualFile('/device', sourceOfBuffer(readFileSync(program)), search, () => {});
    expect(b).toBe(a);
    expect(b.symbols.named('main')).not.toBeNull();
    expect(b.symbols.length).toBe(size);
    expect(bytesAt(b.elf, b.symbols.named('main')!.start, 4)).not.toEqual(Buffer.alloc(4));
    a.close();
    expect(openEqualFile('/device', sourceOfBuffer(readFileSync(program)), search, () => {})).toBe(a);
  });

  test('of equal bytes are not one where a process has debug information of its own', () => {
    const root = join(folder, 'root');
    const stripped = join(folder, 'stripped');
    mkdirSync(join(root, '.debug'), { recursive: true });
    execFileSync('objcopy', ['--only-keep-debug', program, join(root, '.debug', 'device.debug')]);
    execFileSync('objcopy', [
      '--strip-all',
      `--add-gnu-debuglink=${join(root, '.debug', 'device.debug')}`,
      program,
      stripped,
    ]);
    const open = (roots: readonly string[]): Module =>
      openEqualFile(
        '/device',
        sourceOfBuffer(readFileSync(stripped)),
        { path: '/device', roots, downloads: [] },
        () => {},
      );
    const [plain, told, other] = [open([folder]), open([root]), open([folder])];
    expect(other).toBe(plain);
    expect(told).not.toBe(plain);
    expect([plain.info === null, told.info === null]).toEqual([true, false]);
    for (const module of [plain, told, other]) module.close();
  });
});
