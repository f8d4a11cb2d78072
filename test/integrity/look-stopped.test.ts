import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { memoryLog } from '../../infra/log/memory-log.js';
import { record } from '../../producers/memory/record/record.js';
import { openTarget } from '../../producers/memory/sample/look.js';
import { parsePolicy } from '../../schemas/policy/parse.js';
import { compile, noCompiler, pause, start } from '../support/device.js';
import '../support/source-threads.js';
import { temporaryFolder } from '../support/tmp.js';

const suite = noCompiler === '' ? describe : describe.skip;
const folder = temporaryFolder('stopped');
const program = (name: string, source: string, flags?: readonly string[]): string => {
  writeFileSync(join(folder, `${name}.c`), source);
  return compile(join(folder, `${name}.c`), folder, name, flags);
};

const policy = (stop: string): ReturnType<typeof parsePolicy> =>
  parsePolicy(
    `{ id: p, stop: ${stop}, functions: { inner: { parameters: { n: clear } } }, machine: { initial: a, states: { a: { on: { inner: a } } } } }`,
    'p.yaml',
  );

suite(`looks that stop the process ${noCompiler}`, () => {
  const busy =
    noCompiler === ''
      ? program(
          'busy',
          `#include <pthread.h>
           #include <signal.h>
           #include <unistd.h>
           volatile unsigned long steps, caught;
           static void handler(int s) { caught++; (void)s; }
           void inner(int n) { for (;;) steps += n; }
           static void *run(void *x) { inner(41); return x; }
           int main(void) { signal(SIGUSR1, handler); pthread_t t; pthread_create(&t, 0, run, 0); for (;;) pause(); }`,
        )
      : '';

  test('a thread on a CPU is sampled to its root with its arguments, and goes on', () => {
    const { pid } = start(busy);
    pause(80);
    const target = openTarget(pid);
    const outcomes = new Set<string>();
    for (let i = 0; i < 50; i++) for (const { outcome } of target.look().threads) outcomes.add(outcome);
    expect(outcomes.has('running')).toBe(true);
    const schedstat = (tid: number): number =>
      Number(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'latin1').split(' ')[0]);
    for (let i = 0; i < 20; i++) {
      const look = target.lookStopped();
      expect(look).toMatchObject({ stopped: true, gone: false });
      expect(look.threads).toHaveLength(2);
      const worker = look.threads.find(({ tid }) => tid !== pid)!;
      expect(worker).toMatchObject({ outcome: 'sampled', complete: true, syscall: { number: -1 } });
      expect(worker.frames[0]).toMatchObject({ function: 'inner' });
      const main = look.threads.find(({ tid }) => tid === pid)!;
      expect(main).toMatchObject({ complete: true, syscall: { number: 34 } });
      expect(main.frames.map((frame) => frame.function)).toContain('main');
    }
    const worker = target.look().threads.find(({ tid }) => tid !== pid)!.tid;
    const before = schedstat(worker);
    pause(50);
    expect(schedstat(worker)).toBeGreaterThan(before);
    expect(readFileSync(`/proc/${pid}/status`, 'latin1')).toMatch(/TracerPid:\s*0/);
    target.close();
    process.kill(pid, 'SIGKILL');
  });

  test('a signal that comes while the process is held reaches it afterwards', () => {
    const { pid } = start(
      program(
        'signals',
        `#include <signal.h>
         #include <stdio.h>
         #include <unistd.h>
         static volatile int caught;
         static void handler(int s) { caught++; (void)s; }
         int main(int argc, char **argv) { signal(40, handler);
           for (;;) { if (caught >= 200) { FILE *f = fopen(argv[1], "w"); fclose(f); return argc; } usleep(100); } }`,
      ),
      [join(folder, 'all-signals')],
    );
    const until = (what: () => boolean): void => {
      for (let i = 0; i < 2000 && !what(); i++) pause(5);
    };
    until(() => BigInt(`0x${/SigCgt:\s*(\w+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]}`) >> 39n === 1n);
    const target = openTarget(pid);
    const done = (): boolean => {
      try {
        readFileSync(join(folder, 'all-signals'));
        return true;
      } catch {
        return false;
      }
    };
    // Signals of real time are queued: none merges with another.
    for (let i = 0; i < 200; i++) {
      process.kill(pid, 40);
      if (!done()) {
        try {
          target.lookStopped();
        } catch (error) {
          expect(error).toMatchObject({ code: 'PROCESS_GONE' });
        }
      }
      pause(1);
    }
    until(done);
    expect(done()).toBe(true);
    target.close();
  });

  test('recording stops nothing unless the policy allows it, and says so with each look that did', async () => {
    const { pid } = start(busy);
    pause(50);
    const stops: boolean[] = [];
    const options = { pid, log: memoryLog(), for: 1_500_000, budget: 50 };
    const never = await record({ ...options, policy: policy('never') });
    expect(never).toMatchObject({ stopped: 0, ended: false });
    expect(never.running).toBeGreaterThan(0);
    const seen = new Set<string>();
    const allowed = await record({
      ...options,
      policy: policy('allowed'),
      onLook: (look) => {
        stops.push(look.stopped === true);
        for (const { frames } of look.threads) for (const frame of frames) seen.add(frame.function);
      },
    });
    expect(allowed.stopped).toBeGreaterThan(5);
    expect(stops.filter(Boolean)).toHaveLength(allowed.stopped);
    // On a machine that is busy elsewhere a thread may not get its turn to stop in time.
    expect(allowed.running).toBeLessThan(allowed.stopped);
    expect(seen.has('inner')).toBe(true);
    process.kill(pid, 'SIGKILL');
  });
});
