import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openTarget, type Target } from '../producers/memory/sample/look.js';
import { ThreadFiles } from '../producers/memory/sample/thread-files.js';
import type { Figure } from './figure.js';
import { nap } from './nap.js';

/**
 * Waits as programs of devices do, in epoll_wait and in recv with a time-out, counts what interrupts them, and notes how much
 * later than planned it wakes each millisecond. All of it stands in a file that it shares.
 */
const SOURCE = `#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#define RING 65536
struct shared { volatile uint64_t interrupted, waits, cycles; volatile uint32_t late[RING]; };
static struct shared *told;
static void *polls(void *x) { int e = epoll_create1(0); struct epoll_event v;
  for (;;) { if (epoll_wait(e, &v, 1, 3) < 0 && errno == EINTR) told->interrupted++; told->waits++; } return x; }
static void *receives(void *x) { int s[2]; char c; struct timeval t = { 0, 4000 }; socketpair(AF_UNIX, SOCK_DGRAM, 0, s);
  setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
  for (;;) { if (recv(s[0], &c, 1, 0) < 0 && errno == EINTR) told->interrupted++; told->waits++; } return x; }
int main(int argc, char **argv) { int f = open(argv[1], O_RDWR | O_CREAT, 0600); pthread_t t; struct timespec next, now;
  if (argc < 2 || ftruncate(f, sizeof *told)) return 1;
  told = mmap(0, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0); memset(told, 0, sizeof *told);
  pthread_create(&t, 0, polls, 0); pthread_create(&t, 0, receives, 0);
  clock_gettime(CLOCK_MONOTONIC, &next);
  for (;;) { next.tv_nsec += 1000000; if (next.tv_nsec >= 1000000000) { next.tv_nsec -= 1000000000; next.tv_sec++; }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, 0) == EINTR) told->interrupted++;
    clock_gettime(CLOCK_MONOTONIC, &now);
    for (volatile int i = 0; i < 20000; i++);
    told->late[told->cycles % RING] = (now.tv_sec - next.tv_sec) * 1000000000ll + now.tv_nsec - next.tv_nsec;
    told->cycles++; } }`;

const RING = 65_536;

/** The program above, and what it tells of itself. */
export class Waiter {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #folder: string;
  readonly #shared: number;

  constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), 'attestream-waiter-'));
    writeFileSync(join(this.#folder, 'waiter.c'), SOURCE);
    const program = join(this.#folder, 'waiter');
    execFileSync('gcc', ['-O1', '-g', '-w', '-o', program, join(this.#folder, 'waiter.c'), '-lpthread']);
    const shared = join(this.#folder, 'shared');
    this.#child = spawn(program, [shared], { detached: true, stdio: 'ignore' });
    this.pid = this.#child.pid!;
    nap(150);
    this.#shared = openSync(shared, 'r');
  }

  #read(at: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    readSync(this.#shared, bytes, 0, length, at);
    return bytes;
  }

  get counts(): { readonly interrupted: number; readonly waits: number; readonly cycles: number } {
    const bytes = this.#read(0, 24);
    const at = (i: number): number => Number(bytes.readBigUInt64LE(i * 8));
    return { interrupted: at(0), waits: at(1), cycles: at(2) };
  }

  /** ns by which the cycles [from, to) began late. */
  late(from: number, to: number): number[] {
    const ring = this.#read(24, RING * 4);
    return Array.from({ length: to - from }, (_, i) => ring.readUInt32LE(((from + i) % RING) * 4));
  }

  /** CPU time of all threads, ns. */
  get cpu(): number {
    const tasks = `/proc/${this.pid}/task`;
    return readdirSync(tasks)
      .map((tid) => Number(readFileSync(`${tasks}/${tid}/schedstat`, 'latin1').split(' ')[0]))
      .reduce((sum, time) => sum + time, 0);
  }

  stop(): void {
    this.#child.kill('SIGKILL');
    closeSync(this.#shared);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

interface Segment {
  /** ns per cycle. */
  readonly cpu: number;
  readonly late: readonly number[];
}

/** One stretch in which `look` is called each millisecond. */
const segment = (waiter: Waiter, look: () => void, ms: number): Segment => {
  const [before, cpu] = [waiter.counts, waiter.cpu];
  for (const end = performance.now() + ms; performance.now() < end; nap(1)) look();
  const [after, cpuAfter] = [waiter.counts, waiter.cpu];
  return {
    cpu: (cpuAfter - cpu) / Math.max(1, after.cycles - before.cycles),
    late: waiter.late(before.cycles, after.cycles),
  };
};

const quantile = (values: readonly number[], q: number): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) * q)] ?? 0;
};

const mean = (values: readonly number[]): number => values.reduce((sum, one) => sum + one, 0) / values.length;

/** A small generator of its own: the same pairs give the same interval. */
const drawer = (): ((below: number) => number) => {
  let state = 0x9e3779b9;
  return (below) => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5;
    return ((state ^ (state >>> 13)) >>> 0) % below;
  };
};

export interface Ratio {
  readonly ratio: number;
  /** 95 % interval by bootstrap over pairs of neighbouring segments. */
  readonly low: number;
  readonly high: number;
}

const ROUNDS = 2000;

/** Of a statistic of the segments with looks to that of those without. */
const ratioOf = (
  pairs: readonly (readonly [Segment, Segment])[],
  statistic: (all: readonly Segment[]) => number,
): Ratio => {
  const of = (some: readonly (readonly [Segment, Segment])[]): number =>
    statistic(some.map(([looked]) => looked)) / statistic(some.map(([, left]) => left));
  const draw = drawer();
  const ratios = Array.from({ length: ROUNDS }, () => of(pairs.map(() => pairs[draw(pairs.length)]!)));
  return { ratio: of(pairs), low: quantile(ratios, 0.025), high: quantile(ratios, 0.975) };
};

export interface Disturbance {
  readonly cpu: Ratio;
  /** Of the 99th percentile of lateness. */
  readonly late: Ratio;
}

/**
 * What looks do to CPU time and punctuality of a program, in segments that take turns: in one it is looked at, in the other a
 * twin of it is, so that caches and CPUs are used alike by whoever looks.
 */
export const disturbance = (
  waiter: Waiter,
  look: () => void,
  lookElsewhere: () => void,
  pairs: number,
  ms: number,
): Disturbance => {
  segment(waiter, look, ms);
  segment(waiter, lookElsewhere, ms);
  const measured = Array.from({ length: pairs }, (_, i): [Segment, Segment] => {
    // Each comes first as often as the other.
    if (i % 2 === 0) return [segment(waiter, look, ms), segment(waiter, lookElsewhere, ms)];
    const left = segment(waiter, lookElsewhere, ms);
    return [segment(waiter, look, ms), left];
  });
  return {
    cpu: ratioOf(measured, (all) => mean(all.map(({ cpu }) => cpu))),
    late: ratioOf(measured, (all) =>
      quantile(
        all.flatMap(({ late }) => late),
        0.99,
      ),
    ),
  };
};

/**
 * So many looks at threads one after the other; gives how many waits they interrupted. One in 32 is decoded too, which reads
 * nothing more of the program than what its pointers point at.
 */
export const interruptedBy = (waiter: Waiter, target: Target, looks: number): number => {
  const before = waiter.counts.interrupted;
  const { pid } = waiter;
  const mem = openSync(`/proc/${pid}/mem`, 'r');
  const threads = readdirSync(`/proc/${pid}/task`).map(
    (tid) => new ThreadFiles(`/proc/${pid}/task`, Number(tid), 2048),
  );
  for (let i = 0; i < looks; i++) {
    const thread = threads[i % threads.length]!;
    thread.forget();
    thread.look(
      mem,
      () => 4096,
      () => {},
    );
    if (i % 32 === 0) target.look();
  }
  for (const thread of threads) thread.close();
  closeSync(mem);
  return waiter.counts.interrupted - before;
};

const figure = (name: string, value: number, unit: string, baseline: number | null = null): Figure => ({
  name,
  figure: Number(value.toFixed(4)),
  unit,
  baseline,
  ratio: null,
});

/** What a hundred thousand looks do to the program that is looked at. */
export const bench = async (): Promise<Figure[]> => {
  const waiter = new Waiter();
  const twin = new Waiter();
  try {
    const target = openTarget(waiter.pid);
    const other = openTarget(twin.pid);
    const interrupted = interruptedBy(waiter, target, 100_000);
    const { cpu, late } = disturbance(
      waiter,
      () => void target.look(),
      () => void other.look(),
      40,
      200,
    );
    target.close();
    other.close();
    const ratios = ([name, { ratio, low, high }]: readonly [string, Ratio]): Figure[] => [
      figure(`${name}, looks each ms to looks at another`, ratio, 'ratio'),
      figure(`${name}, 95 % interval from`, low, 'ratio', 1),
      figure(`${name}, 95 % interval to`, high, 'ratio', 1),
    ];
    return [
      figure('waits interrupted by 100,000 looks', interrupted, 'EINTR', 0),
      ...ratios(['CPU time of the process', cpu]),
      ...ratios(['p99 of its lateness', late]),
    ];
  } finally {
    waiter.stop();
    twin.stop();
  }
};
