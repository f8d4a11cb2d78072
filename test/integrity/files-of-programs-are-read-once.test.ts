import { copyFileSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
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
    renameSync(join(folder, 'new'), program);
    const b = open();
    b.look();
    expect(shared(a, b).some((path) => path === program)).toBe(false);
    expect(shared(a, b).some((path) => /libc\.so/.test(path))).toBe(true);
    a.close();
    b.close();
  });
});
