import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { openTarget } from '../../producers/memory/sample/look.js';
import type { SeenThread } from '../../producers/memory/sample/look-result.js';
import { compile, noCompiler, pause, start } from '../support/device.js';
import { type Probe, realPart } from '../support/real-part.js';
import { temporaryFolder } from '../support/tmp.js';

const folder = temporaryFolder('truth');

/** Calls nest to random depths on three threads. Each says by a call of `left` that it is about to return: a probe on returns would rewrite the stack. */
const SOURCE = `#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#define KEEP __asm__ volatile("" ::: "memory")
__attribute__((noinline)) void left(int which) { __asm__ volatile("" :: "r"(which)); }
__attribute__((noinline)) void valve(int level, unsigned *seed) { usleep(1500 + rand_r(seed) % 4000); left(3); KEEP; (void)level; }
__attribute__((noinline)) void decide(int level, unsigned *seed) { if (rand_r(seed) % 3) valve(level + 1, seed); usleep(1500 + rand_r(seed) % 3000); left(2); KEEP; }
__attribute__((noinline)) void cycle(int level, unsigned *seed) { usleep(1500 + rand_r(seed) % 2000); decide(level + 1, seed); if (rand_r(seed) % 2) valve(level + 7, seed); left(1); KEEP; }
static void *run(void *x) { unsigned seed = (unsigned)(long)x; for (int i = 0;; i++) cycle(i % 1000, &seed); return x; }
int main(void) { pthread_t t[2]; for (long i = 0; i < 2; i++) pthread_create(&t[i], 0, run, (void *)(i + 5)); run((void *)9); }`;

const FUNCTIONS = ['cycle', 'decide', 'valve'];

const traced = (program: string): string[] => [
  '-e',
  FUNCTIONS.map(
    (name) => `uprobe:${program}:${name} { printf("%llu %d ${name} %d\\n", nsecs, tid, (int32)arg0); }`,
  ).join(' ') +
    ` uprobe:${program}:left { printf("%llu %d left %d\\n", nsecs, tid, (int32)arg0); } BEGIN { printf("ready\\n"); }`,
];

const build = (flags: readonly string[]): string => {
  writeFileSync(join(folder, 'nested.c'), SOURCE);
  return compile(join(folder, 'nested.c'), folder, `nested${flags.join('')}`, flags);
};

const probe: Probe = () => {
  if (noCompiler !== '') return noCompiler;
  try {
    const program = build(['-O0', '-g']);
    execFileSync('timeout', ['20', 'bpftrace', '-e', `uprobe:${program}:left { } BEGIN { exit(); }`], {
      stdio: 'ignore',
    });
    return null;
  } catch (error) {
    return `uprobes cannot be set here (Debian: bpftrace): ${(error as Error).message.split('\n')[0]}`;
  }
};

interface Call {
  readonly function: string;
  readonly argument: number;
  readonly began: number;
  ended: number;
}

/** µs that a probe and what surrounds it take at either end of a call. */
const MARGIN = 400;

/** What was called when, by thread. */
const callsOf = (lines: readonly string[]): Map<number, Call[]> => {
  const calls = new Map<number, Call[]>();
  const open = new Map<number, Call[]>();
  // Each CPU has a buffer of its own: their lines come as they are emptied.
  const events = lines.map((line) => line.split(' ')).filter((words) => words.length === 4);
  events.sort(([a], [b]) => Number(a) - Number(b));
  for (const [time, thread, name, argument] of events) {
    const [at, tid] = [Number(time) / 1000, Number(thread)];
    const stack = open.get(tid) ?? [];
    open.set(tid, stack);
    if (name === 'left') {
      // The innermost call of that function; one that began before the trace is not in it.
      if (stack.at(-1)?.function === FUNCTIONS[Number(argument) - 1]) stack.pop()!.ended = at;
      continue;
    }
    const call = { function: name!, argument: Number(argument), began: at, ended: Number.POSITIVE_INFINITY };
    stack.push(call);
    calls.set(tid, [...(calls.get(tid) ?? []), call]);
  }
  return calls;
};

realPart('bpftrace', probe)('looks against what the kernel saw of the same calls', () => {
  test.each([[['-O0', '-g']], [['-O2', '-g']]])(
    'built with %j: every call that was on the stack is in the look, and no other',
    async (flags) => {
      const program = build(flags);
      const { pid } = start(program);
      const tracer = spawn('bpftrace', traced(program), { stdio: ['ignore', 'pipe', 'ignore'] });
      let text = '';
      tracer.stdout.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
      });
      const ended = new Promise((resolve) => tracer.once('exit', resolve));
      for (let i = 0; i < 200 && !/ left /.test(text); i++) await new Promise((resolve) => setTimeout(resolve, 50));
      expect(text).toMatch(/ left /);
      await new Promise((resolve) => setTimeout(resolve, 300));
      const target = openTarget(pid, new Set(FUNCTIONS));
      const seen: SeenThread[] = [];
      target.look();
      for (let i = 0; i < 400; i++) {
        seen.push(...target.look().threads.filter(({ outcome }) => outcome === 'sampled'));
        pause(2);
      }
      target.close();
      await new Promise((resolve) => setTimeout(resolve, 100));
      tracer.kill('SIGINT');
      await ended;
      process.kill(pid, 'SIGKILL');

      const calls = callsOf(text.split('\n'));
      const wrong: unknown[] = [];
      let judged = 0;
      let values = 0;
      for (const thread of seen) {
        const own = calls.get(thread.tid) ?? [];
        const near = own.some(
          (call) => Math.min(Math.abs(call.began - thread.at), Math.abs(call.ended - thread.at)) < MARGIN,
        );
        // At the very edge of a call either answer is right.
        if (near || own.length === 0 || thread.at < own[0]!.began) continue;
        const truth = own.filter(({ began, ended: end }) => began < thread.at && thread.at < end);
        const told = thread.frames.filter(({ function: name }) => name !== null && FUNCTIONS.includes(name)).reverse();
        judged++;
        if (truth.map((call) => call.function).join() !== told.map((frame) => frame.function).join())
          wrong.push({ at: thread.at, truth, told: told.map((frame) => frame.function) });
        else
          for (const [i, call] of truth.entries()) {
            const level = told[i]!.parameters.find(({ name }) => name === 'level');
            if (level?.unavailable !== '') continue;
            values++;
            if (level.value !== call.argument) wrong.push({ call, level });
          }
      }
      expect(wrong).toEqual([]);
      expect(judged).toBeGreaterThan(200);
      if (flags[0] === '-O0') expect(values).toBeGreaterThan(100);
    },
  );
});
