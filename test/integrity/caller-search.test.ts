import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { openTarget } from '../../producers/memory/sample/look.js';
import type { SeenThread } from '../../producers/memory/sample/look-result.js';
import { compile, noCompiler, pause, start } from '../support/device.js';
import { temporaryFolder } from '../support/tmp.js';

const suite = noCompiler === '' ? describe : describe.skip;
const folder = temporaryFolder('caller-search');

const source = (name: string): string => fileURLToPath(new URL(`../support/programs/${name}.c`, import.meta.url));

/** The first thread of a program, once it waits. */
const waiting = (program: string): SeenThread => {
  const { pid } = start(program);
  pause(200);
  const target = openTarget(pid, new Set());
  try {
    for (let n = 0; ; n++) {
      const thread = target.look().threads[0]!;
      if (thread.outcome === 'sampled' || n > 100) return thread;
      pause(10);
    }
  } finally {
    target.close();
    process.kill(pid, 'SIGKILL');
  }
};

const decisive = (thread: SeenThread): (string | null)[] =>
  thread.frames.filter(({ foundBy }) => foundBy !== 'scan').map((frame) => frame.function);

suite(`callers of functions whose size nothing tells ${noCompiler}`, () => {
  test.each(['-O0', '-O1', '-O2'])('what calls have left on the stack is no fact: %s', (level) => {
    const program = compile(source('stale-calls'), folder, `stale${level}`, [level, '-w', '-Wl,-z,now']);
    const thread = waiting(program);
    const told = decisive(thread);
    expect(told.slice(0, 3)).toEqual(['clock_nanosleep', 'nanosleep', 'waits']);
    expect(told.slice(3).filter((name) => name === 'returned' || name === 'leaf')).toEqual([]);
    if (thread.complete) expect(told[3]).toBe('main');
  });

  test('a stripped program without call frame information is followed to its root from wherever main lies', () => {
    const flags = [
      '-Os',
      '-fno-asynchronous-unwind-tables',
      '-fno-toplevel-reorder',
      '-fno-reorder-functions',
      '-w',
      '-s',
    ];
    const program = compile(source('main-behind-exit'), folder, 'behind', flags);
    const thread = waiting(program);
    expect(execFileSync('readelf', ['-S', program], { encoding: 'utf8' })).not.toContain('.symtab');
    expect(thread.frames.map(({ foundBy }) => foundBy)).not.toContain('scan');
    expect(thread.complete).toBe(true);
  });
});
