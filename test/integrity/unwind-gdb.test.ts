import { execFileSync, spawn } from 'node:child_process';
import { existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { openTarget } from '../../producers/memory/sample/look.js';
import type { SeenThread } from '../../producers/memory/sample/look-result.js';
import { noCompiler, pause } from '../support/device.js';
import { gdbStacks, noGdb } from '../support/gdb-stacks.js';
import { realPart } from '../support/real-part.js';
import { ROOT } from '../support/sources.js';
import { temporaryFolder } from '../support/tmp.js';

const folder = temporaryFolder('unwind');
const SOURCE = join(ROOT, 'test/support/programs/stacks.c');
const WAYS = 23;

const has = (command: string): boolean => {
  try {
    execFileSync('which', [command], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

const started: number[] = [];
afterAll(() => {
  for (const pid of started) process.kill(pid, 'SIGKILL');
});

/** Builds and starts the program, in a session of its own; it waits in all ways when this returns. */
const waiting = (name: string, compiler: string, flags: readonly string[]): number => {
  const program = join(folder, name);
  execFileSync(compiler, ['-g', '-w', ...flags, '-o', program, SOURCE, '-lpthread']);
  const out = join(folder, `${name}.out`);
  const fd = openSync(out, 'w');
  const child = spawn(program, { detached: true, stdio: ['ignore', fd, 'ignore'] });
  child.unref();
  started.push(child.pid!);
  for (let i = 0; i < 200 && !(existsSync(out) && readFileSync(out, 'utf8').includes('waiting')); i++) pause(10);
  pause(30);
  return child.pid!;
};

/** One valid look at every thread that can be had: two threads spin below their handlers' signal frames only until these wait. */
const looked = (pid: number): readonly SeenThread[] => {
  const target = openTarget(pid, new Set());
  try {
    for (let n = 0; ; n++) {
      const { threads } = target.look();
      if (n > 50 || (threads.length === WAYS + 1 && threads.every(({ outcome }) => outcome === 'sampled')))
        return threads;
      pause(5);
    }
  } finally {
    target.close();
  }
};

interface Compared {
  readonly wrong: readonly string[];
  readonly incomplete: readonly string[];
  readonly threads: number;
}

const plain = (thread: SeenThread): SeenThread['frames'] => thread.frames.filter(({ inlined }) => !inlined);
const shown = (thread: SeenThread): string =>
  thread.frames
    .map((frame) => `${frame.function}[${frame.foundBy}/${frame.sizedBy}]`)
    .slice(0, 14)
    .join(' < ');

/** Decisive frames against gdb's, one by one; a frame found by scan may be anything, and says so. */
const compare = (pid: number): Compared => {
  const threads = looked(pid);
  const truth = gdbStacks(pid, folder);
  const wrong: string[] = [];
  const incomplete: string[] = [];
  for (const thread of threads) {
    const theirs = truth.get(thread.tid) ?? [];
    if (!thread.complete) incomplete.push(shown(thread));
    for (const [i, frame] of plain(thread).entries()) {
      if (frame.foundBy === 'scan') break;
      const other = theirs[i];
      // A stop takes the pc of a call that can be begun anew back to its instruction.
      const same = other !== undefined && (other.pc === frame.pc || (i === 0 && other.pc === frame.pc - 2));
      // gdb ends at main and at the thread's start.
      if (!same && !(other === undefined && i >= theirs.length && theirs.length > 0)) {
        wrong.push(`#${i} ${frame.function} 0x${frame.pc.toString(16)}, gdb ${other?.name}: ${shown(thread)}`);
        break;
      }
    }
  }
  return { wrong, incomplete, threads: threads.length };
};

const BUILDS: readonly (readonly [name: string, compiler: string, ...flags: string[]])[] = [
  ['gcc-O0', 'gcc', '-O0'],
  ['gcc-O1', 'gcc', '-O1'],
  ['gcc-O2', 'gcc', '-O2'],
  ['gcc-O3-not-PIE', 'gcc', '-O3', '-no-pie'],
  ['gcc-O2-frame-pointer', 'gcc', '-O2', '-fno-omit-frame-pointer'],
  ['gcc-O2-static', 'gcc', '-O2', '-static'],
  ['gcc-O2-debug_frame', 'gcc', '-O2', '-fno-asynchronous-unwind-tables'],
  ['clang-O0', 'clang', '-O0'],
  ['clang-O2', 'clang', '-O2', '-fomit-frame-pointer'],
];

/** What must lie on the stack of each way of waiting, of whatever build: without call frame information gdb is no judge. */
const CHAINS: readonly (readonly string[])[] = [
  ['wait_nanosleep', 'stack_begin', 'thread'],
  ['wait_read', 'stack_begin', 'thread'],
  ['wait_recv', 'stack_begin', 'thread'],
  ['wait_poll', 'stack_begin', 'thread'],
  ['wait_epoll', 'stack_begin', 'thread'],
  ['wait_select', 'stack_begin', 'thread'],
  ['wait_futex', 'stack_begin', 'thread'],
  ['wait_cond', 'stack_begin', 'thread'],
  ['wait_sem', 'stack_begin', 'thread'],
  ['wait_nanosleep', 'sized_by_argument', 'calls_sized', 'stack_begin', 'thread'],
  ['wait_nanosleep', 'pointed', 'through_pointer', 'stack_begin', 'thread'],
  ['wait_read', 'above_stale', 'stack_begin', 'thread'],
  ['wait_nanosleep', ...Array<string>(201).fill('deep'), 'stack_begin', 'thread'],
  ['wait_recv', 'compare', 'callback', 'stack_begin', 'thread'],
  ['wait_poll', 'tail_end', 'stack_begin', 'thread'],
  ['wait_sem', 'indirect', 'stack_begin', 'thread'],
  ['wait_nanosleep', 'by_table', 'stack_begin', 'thread'],
  ['wait_epoll', 'many_arguments', 'arguments', 'stack_begin', 'thread'],
  ['wait_select', 'aligned', 'stack_begin', 'thread'],
  ['wait_nanosleep', 'after_jump', 'stack_begin', 'thread'],
  ['wait_nanosleep', 'in_handler', 'handler', 'interrupted', 'stack_begin', 'thread'],
  ['wait_nanosleep', 'in_handler', 'handler', 'wait_sem', 'interrupted_call', 'stack_begin', 'thread'],
  ['wait_nanosleep', 'in_handler', 'handler', 'interrupted', 'on_other_stack', 'stack_begin', 'thread'],
];
const NAMES = new Set([...CHAINS.flat(), 'tail', 'stale', 'main']);

/** Functions of the program on a stack as far as it is decisive, without those that a compiler may have left out by tail calls. */
const chainOf = (thread: SeenThread): string[] => {
  const decisive = thread.frames.filter(({ foundBy }) => foundBy !== 'scan');
  return decisive.flatMap(({ function: named }) =>
    named !== null && NAMES.has(named) && named !== 'tail' ? [named] : [],
  );
};

const BUILDS_WITHOUT: readonly (readonly [name: string, compiler: string, ...flags: string[]])[] = [
  ['musl-O0', 'musl-gcc', '-O0'],
  ['musl-O2', 'musl-gcc', '-O2'],
  ['musl-O2-static', 'musl-gcc', '-O2', '-static'],
  ['musl-O2-static-no-tables', 'musl-gcc', '-O2', '-static', '-fno-asynchronous-unwind-tables', '-g0'],
];

realPart('gdb', () => noCompiler || noGdb())('stacks of real programs', () => {
  for (const [name, compiler, ...flags] of BUILDS)
    (has(compiler) ? test : test.skip)(`${name}: every frame is gdb's, and every stack reaches its root`, () => {
      const told = compare(waiting(name, compiler, flags));
      expect(told.wrong).toEqual([]);
      // A function that sizes its frame by an argument and is called through a pointer: any call through a pointer may be the one.
      expect(told.incomplete.filter((stack) => !stack.includes('pointed['))).toEqual([]);
      expect(told.threads).toBe(WAYS + 1);
    });
});

realPart('musl-gcc', () => noCompiler || (has('musl-gcc') ? null : 'musl-gcc is not installed'))(
  'stacks where libc has no call frame information',
  () => {
    for (const [name, compiler, ...flags] of BUILDS_WITHOUT)
      test(`${name}: no decisive frame is wrong, and nearly all stacks reach their root`, () => {
        const pid = waiting(name, compiler, flags);
        const threads = looked(pid).filter(({ tid }) => tid !== pid);
        expect(threads).toHaveLength(WAYS);
        const wrong: string[] = [];
        const incomplete: string[] = [];
        threads.forEach((thread, way) => {
          const chain = chainOf(thread);
          const expected = CHAINS[way]!;
          const right = thread.complete ? chain.join() === expected.join() : expected.join().startsWith(chain.join());
          if (!right) wrong.push(`${expected.join(' < ')}: ${shown(thread)}`);
          if (!thread.complete) incomplete.push(`${expected.slice(0, 4).join(' < ')}: ${shown(thread)}`);
        });
        expect(wrong).toEqual([]);
        expect(incomplete.filter((stack) => !stack.includes('pointed['))).toEqual([]);
      });
  },
);
