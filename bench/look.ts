import { execFileSync, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { lookRecord } from '../producers/memory/record/look-record.js';
import { Release } from '../producers/memory/record/release.js';
import { openTarget } from '../producers/memory/sample/look.js';
import { ThreadFiles } from '../producers/memory/sample/thread-files.js';
import { encodeRecord } from '../schemas/codec.js';

export interface Figure {
  readonly name: string;
  readonly figure: number;
  readonly unit: string;
  /** What the figure is compared with, in the same unit; null if there is nothing here to compare with. */
  readonly baseline: number | null;
  readonly ratio: number | null;
}

const ROUNDS = 20_000;
const nap = (ms: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

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

/** Milliseconds of one backtrace by another tool, as µs; null if it is not installed or refuses. */
const peer = (command: string, args: readonly string[]): number | null => {
  try {
    const runs = Array.from({ length: 5 }, () => microsOf(() => void execFileSync(command, args, { stdio: 'ignore' })));
    return quantile(
      runs.sort((a, b) => a - b),
      0.5,
    );
  } catch {
    return null;
  }
};

const figure = (name: string, value: number, baseline: number | null): Figure => ({
  name,
  figure: Number(value.toFixed(2)),
  unit: 'µs',
  baseline: baseline === null ? null : Number(baseline.toFixed(1)),
  ratio: baseline === null ? null : Number((baseline / value).toFixed(0)),
});

/** Cost of looks at the example device while it waits, beside the tools that people use for a backtrace. */
export const bench = async (): Promise<Figure[]> => {
  const folder = mkdtempSync(join(tmpdir(), 'attestream-bench-'));
  const program = join(folder, 'device');
  // From the sources and from dist/bench alike.
  const source = ['../examples', '../../examples']
    .map((examples) => fileURLToPath(new URL(`${examples}/device/device.c`, import.meta.url)))
    .find((path) => existsSync(path))!;
  execFileSync('gcc', ['-O0', '-g', '-fno-omit-frame-pointer', '-o', program, source]);
  const child = spawn(program, ['--cycles', '100000'], { detached: true, stdio: 'ignore' });
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

    const target = openTarget(pid);
    const release = new Release(null);
    const quiet = spread(ROUNDS, () => void target.look());
    const decoded = spread(ROUNDS / 4, () => {
      target.forget();
      encodeRecord('Look', { ...lookRecord(target.look(), 0, release), stream: Buffer.alloc(32), seq: 0 });
    });
    target.close();

    const gdb = peer('gdb', ['-batch', '-nx', '-p', String(pid), '-ex', 'bt']);
    const euStack = peer('eu-stack', ['-p', String(pid)]);
    return [
      figure('validated look, 4 KiB of stack, p50', raw.p50, null),
      figure('validated look, 4 KiB of stack, p99', raw.p99, null),
      figure('look at a thread that did not run, p50', quiet.p50, null),
      figure('look to encoded event, p50 (baseline: gdb bt)', decoded.p50, gdb),
      figure('look to encoded event, p99', decoded.p99, null),
      ...(euStack === null ? [] : [figure('look to encoded event, p50 (baseline: eu-stack)', decoded.p50, euStack)]),
    ];
  } finally {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
};
