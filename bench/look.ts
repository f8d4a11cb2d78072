import { execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lookRecord } from '../producers/memory/record/look-record.js';
import { Release } from '../producers/memory/record/release.js';
import { openTarget, type Target } from '../producers/memory/sample/look.js';
import { ThreadFiles } from '../producers/memory/sample/thread-files.js';
import { encodeRecord } from '../schemas/codec.js';
import { parsePolicy } from '../schemas/policy/parse.js';
import { startEngine } from './docker.js';
import type { Figure } from './figure.js';
import { nap } from './nap.js';

const ROUNDS = 10_000;

/** Waits in a timed system call under ten frames of its own, with values of the usual kinds: `poll` and `main` are the outermost two. */
const SOURCE = `#include <poll.h>
enum mode { IDLE, BUSY, FAULT };
struct order { int id; double level; };
static volatile int sink;
void f8(int id) { struct pollfd p = { 0, 0, 0 }; poll(&p, 0, 100000); sink += id; }
void f7(int id, double t) { f8(id + 1); sink += t; }
void f6(struct order *o, int n) { f7(o->id, o->level); sink += n; }
void f5(enum mode m, const char *topic) { struct order o = { m, 2.5 }; f6(&o, 3); sink += topic[0]; }
void f4(unsigned long big, int n) { f5(BUSY, "plant/boiler"); sink += big + n; }
void f3(char c, short s) { f4(1ul << 60, s); sink += c; }
void f2(int round) { f3('x', round); sink++; }
void f1(int round) { f2(round + 1); sink++; }
#ifndef ENTER
#define ENTER f1(i)
#endif
int main(void) { for (int i = 0;; i++) ENTER; }`;

/** Ten frames in all: the system call's, five of its own, `main`, and the three of the C library that call it. */
const TEN_IN_ALL = '-DENTER=f4(1ul << 60, i)';
/** Those of them whose parameters are told. */
const THREE: ReadonlySet<string> = new Set(['f6', 'f7', 'f8']);

const POLICY = `id: bench
functions:
${Array.from({ length: 8 }, (_, i) => `  f${i + 1}: { parameters: { id: clear, t: clear, o: clear, n: clear, m: clear, topic: clear, big: clear, c: clear, s: clear, round: clear } }`).join('\n')}
machine: { initial: a, states: { a: { on: { f1: a, f2: a, f3: a, f4: a, f5: a, f6: a, f7: a, f8: a } } } }
`;

const microsOf = (work: () => void): number => {
  const began = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - began) / 1000;
};

const quantile = (sorted: readonly number[], q: number): number => sorted[Math.floor((sorted.length - 1) * q)] ?? 0;

const spread = (rounds: number, work: () => void): { p50: number; p99: number } => {
  for (let i = 0; i < rounds / 10; i++) work();
  const all = Array.from({ length: rounds }, () => microsOf(work)).sort((a, b) => a - b);
  return { p50: quantile(all, 0.5), p99: quantile(all, 0.99) };
};

/** µs of what others take for a backtrace, or for holding the process still, the median of five; null if it is not here or refuses. */
const peer = (work: () => void): number | null => {
  try {
    const runs = Array.from({ length: 5 }, () => microsOf(work));
    return quantile(
      runs.sort((a, b) => a - b),
      0.5,
    );
  } catch {
    return null;
  }
};

const command =
  (program: string, ...args: string[]): (() => void) =>
  () =>
    void execFileSync(program, args, { stdio: 'ignore' });

const figure = (name: string, value: number, baseline: number | null): Figure => ({
  name,
  figure: Number(value.toFixed(2)),
  unit: 'µs',
  baseline: baseline === null ? null : Number(baseline.toFixed(1)),
  ratio: baseline === null ? null : Number((baseline / value).toFixed(0)),
});

/** `pause` and `unpause` of a container with the same program. Null where no engine runs. */
const dockerPause = (program: string, folder: string): number | null => {
  const root = join(folder, 'root');
  mkdirSync(root);
  execFileSync('gcc', ['-O0', '-static', '-o', join(root, 'program'), `${program}.c`]);
  const engine = startEngine(join(folder, 'docker'));
  if (engine === null) return null;
  try {
    const image = engine.importImage('bench:1', root);
    const id = engine.docker('run', '--detach', '--network=none', '--pull=never', image, '/program');
    return peer(() => {
      engine.docker('pause', id);
      engine.docker('unpause', id);
    });
  } finally {
    engine.stop();
  }
};

/** Cost of looks at a waiting program, beside the tools that people use for a backtrace, in the same run. */
export const bench = async (): Promise<Figure[]> => {
  const folder = mkdtempSync(join(tmpdir(), 'attestream-bench-'));
  const program = join(folder, 'ten');
  writeFileSync(`${program}.c`, SOURCE);
  execFileSync('gcc', ['-O0', '-g', '-fno-omit-frame-pointer', '-o', program, `${program}.c`]);
  const child = spawn(program, { detached: true, stdio: 'ignore' });
  try {
    const pid = child.pid!;
    nap(100);
    const mem = openSync(`/proc/${pid}/mem`, 'r');
    const thread = new ThreadFiles(`/proc/${pid}/task`, pid);
    const raw = spread(ROUNDS, () => {
      // As if the thread had run: counters, registers, 4 KiB of stack, registers and counters again.
      thread.forget();
      thread.look(
        mem,
        () => 4096,
        () => undefined,
      );
    });
    thread.close();
    closeSync(mem);

    const policy = parsePolicy(POLICY, 'bench.yaml');
    const release = new Release(policy);
    const event = (target: Target): void => {
      target.forget();
      encodeRecord('Look', { ...lookRecord(target.look(), 0, release), stream: Buffer.alloc(32), seq: 0 });
    };
    const target = openTarget(pid, new Set(policy.functions.keys()), { residue: false });
    const frames = target.look().threads[0]!.frames.length;
    const quiet = spread(ROUNDS, () => void target.look());
    const decoded = spread(ROUNDS, () => event(target));
    target.close();
    const deep = openTarget(pid, new Set(policy.functions.keys()));
    const residue = spread(ROUNDS / 2, () => event(deep));
    deep.close();
    const tenth = join(folder, 'in-all');
    execFileSync('gcc', ['-O0', '-g', '-fno-omit-frame-pointer', TEN_IN_ALL, '-o', tenth, `${program}.c`]);
    const other = spawn(tenth, { detached: true, stdio: 'ignore' });
    let three: { frames: number; p50: number };
    try {
      nap(100);
      const few = openTarget(other.pid!, THREE, { residue: false });
      three = { frames: few.look().threads[0]!.frames.length, p50: spread(ROUNDS, () => event(few)).p50 };
      few.close();
    } finally {
      other.kill('SIGKILL');
    }
    const all = openTarget(pid);
    const everything = spread(ROUNDS / 4, () => event(all));
    all.close();

    const gdb = peer(command('gdb', '-batch', '-nx', '-p', String(pid), '-ex', 'bt'));
    const euStack = peer(command('eu-stack', '-p', String(pid)));
    const pause = dockerPause(program, folder);
    const named = `look to encoded event, ${frames} frames, p50`;
    const beside = ([tool, took]: readonly [string, number | null]): Figure[] =>
      took === null ? [] : [figure(`${named} (baseline: ${tool})`, decoded.p50, took)];
    return [
      figure('validated look, 4 KiB of stack, p50 (baseline: the budget)', raw.p50, 10),
      figure('validated look, 4 KiB of stack, p99', raw.p99, null),
      figure('look at a thread that did not run, p50', quiet.p50, null),
      figure(`${named} (baseline: the budget)`, decoded.p50, 60),
      figure('look to encoded event, p99', decoded.p99, null),
      figure(
        `look to encoded event, ${three.frames} frames, parameters of three functions, p50 (baseline: the budget)`,
        three.p50,
        60,
      ),
      figure('the same with residue, p50', residue.p50, null),
      figure('the same with residue and the parameters of every function, p50', everything.p50, null),
      ...(
        [
          ['gdb bt', gdb],
          ['eu-stack', euStack],
          ['docker pause and unpause', pause],
        ] as const
      ).flatMap(beside),
    ];
  } finally {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
};
