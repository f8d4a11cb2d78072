import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { openTarget } from '../../producers/memory/sample/look.js';
import type { LookResult, SeenThread } from '../../producers/memory/sample/look-result.js';
import { buildDevice, compile, noCompiler, pause, readCalls, start } from '../support/device.js';
import { temporaryFolder } from '../support/tmp.js';

const suite = noCompiler === '' ? describe : describe.skip;
const folder = temporaryFolder('look');
const device = noCompiler === '' ? buildDevice(folder) : '';

const names = (thread: SeenThread): (string | null)[] => thread.frames.map((frame) => frame.function);

const lookUntilGone = (pid: number, ms: number, each: (look: LookResult) => void): void => {
  const target = openTarget(pid);
  for (;;) {
    const look = target.look();
    if (look.gone) break;
    each(look);
    pause(ms);
  }
  target.close();
};

suite(`looks at a live program ${noCompiler}`, () => {
  test('no frame and no value contradicts what the device says it did, and it is never interrupted', async () => {
    const log = join(folder, 'calls');
    // Its files are read now, not while it runs: on a busy machine that may take longer than all of its calls.
    const before = start(device, ['--cycles', '1']);
    const warm = openTarget(before.pid);
    await warm.image.ready();
    warm.look();
    const { pid, exited } = start(device, ['--cycles', '12', '--attack', 'level', '--attack-at', '5', '--log', log]);
    const seen: { at: number; function: string; value: number }[] = [];
    const instants: number[] = [];
    let incomplete = 0;
    lookUntilGone(pid, 1, (look) => {
      for (const thread of look.threads) {
        if (thread.outcome !== 'sampled') continue;
        // Before main, in the dynamic linker, there is no root to reach.
        if (!names(thread).includes('main')) continue;
        if (!thread.complete) incomplete++;
        instants.push(thread.at);
        for (const frame of thread.frames)
          for (const parameter of frame.parameters) {
            const value = { read_sensor: 'id', decide: 'temperature', actuate: 'level', publish: 'level' }[
              frame.function!
            ];
            if (parameter.name === value)
              seen.push({ at: thread.at, function: frame.function!, value: Number(parameter.value) });
          }
      }
    });
    expect(await exited).toBe(0);
    warm.close();
    const { calls, interrupted } = readCalls(log);
    expect(interrupted).toBe(0);
    expect(calls).toHaveLength(48);
    expect(incomplete).toBe(0);
    expect(seen.length).toBeGreaterThan(20);
    // Every sighting lies within a call of that function with that value.
    const wrong = seen.filter(
      ({ at, function: name, value }) =>
        !calls.some(
          (call) =>
            call.function === name && at >= call.began && at <= call.ended && Math.abs(call.value - value) < 1e-3,
        ),
    );
    expect(wrong).toEqual([]);
    // Every instant inside a call's wait shows that call.
    const missed = instants.filter((at) => {
      const call = calls.find(({ began, ended }) => at > began + 2000 && at < ended - 2000);
      return call !== undefined && !seen.some((sighting) => sighting.at === at && sighting.function === call.function);
    });
    expect(missed).toEqual([]);
    expect(seen.some(({ value }) => value === 95)).toBe(true);
  });

  test('a thread that did not run since the last look is told as before', () => {
    const { pid } = start('/bin/sleep', ['20']);
    const target = openTarget(pid);
    pause(50);
    target.look();
    const [first, second] = [target.look(), target.look()];
    expect(second.threads[0]).toMatchObject({ asBefore: true, outcome: 'sampled' });
    expect(second.threads[0]!.frames).toEqual(first.threads[0]!.frames);
    expect(second.bytesRead).toBeLessThan(300);
    target.close();
  });

  test.each([
    ['-O0', '-g'],
    ['-O1', '-g'],
    ['-O2', '-g'],
    ['-O2', '-s'],
    ['-O3', '-g', '-static'],
    ['-O0', '-g', '-fno-asynchronous-unwind-tables'],
    ['-O2', '-g', '-fno-asynchronous-unwind-tables'],
    ['-O2', '-g', '-fcf-protection=full', '-fstack-protector-all'],
  ])('built with %s %s %s the stack reaches its root at every look', (...flags) => {
    const { pid } = start(buildDevice(folder, flags, `device${flags.join('')}`), ['--cycles', '1000']);
    pause(60);
    const target = openTarget(pid);
    const incomplete: unknown[] = [];
    let sampled = 0;
    for (let i = 0; i < 60; i++, pause(5))
      for (const thread of target.look().threads) {
        if (thread.outcome !== 'sampled') continue;
        sampled++;
        if (!thread.complete)
          incomplete.push(thread.frames.map((frame) => [frame.function, frame.foundBy, frame.sizedBy]));
      }
    target.close();
    process.kill(pid, 'SIGKILL');
    expect(incomplete).toEqual([]);
    expect(sampled).toBeGreaterThan(5);
  });

  test('a stripped program is unwound to its root; its own functions stay without names', () => {
    const stripped = buildDevice(folder, ['-O0', '-s'], 'stripped');
    const { pid } = start(stripped, ['--cycles', '100']);
    pause(60);
    const target = openTarget(pid);
    const thread = target.look().threads[0]!;
    expect(thread).toMatchObject({ outcome: 'sampled', complete: true, syscall: { number: 230 } });
    expect(names(thread).slice(0, 2)).toEqual(['clock_nanosleep', 'nanosleep']);
    expect(names(thread)).toContain(null);
    const own = thread.frames.filter(({ file }) => file === stripped);
    expect(own.length).toBeGreaterThan(1);
    expect(own.flatMap((frame) => frame.parameters)).toEqual([]);
    target.close();
  });

  test('a script shows its interpreter', () => {
    const { pid } = start('/bin/sh', ['-c', 'sleep 20; true']);
    pause(60);
    const target = openTarget(pid);
    expect(target.binary).toMatch(/sh$/);
    expect(target.look().threads[0]).toMatchObject({ outcome: 'sampled' });
    target.close();
  });

  test('every thread is looked at, those that begin and end later too', async () => {
    const source = join(folder, 'threads.c');
    writeFileSync(
      source,
      `#include <pthread.h>
       #include <unistd.h>
       void work(long number) { usleep(150000); (void)number; }
       static void *run(void *number) { work((long)number); return 0; }
       int main(void) { pthread_t t[3]; usleep(80000);
         for (long i = 0; i < 3; i++) pthread_create(&t[i], 0, run, (void *)(i + 41));
         for (int i = 0; i < 3; i++) pthread_join(t[i], 0); usleep(80000); return 0; }`,
    );
    const { pid, exited } = start(compile(source, folder, 'threads'));
    const numbers = new Set<unknown>();
    const counts = new Set<number>();
    let complete = 0;
    lookUntilGone(pid, 2, (look) => {
      counts.add(look.threads.length);
      for (const thread of look.threads)
        for (const frame of thread.frames)
          if (frame.function === 'work') {
            numbers.add(frame.parameters[0]!.value);
            if (thread.complete) complete++;
          }
    });
    expect(await exited).toBe(0);
    expect([...numbers].sort()).toEqual([41, 42, 43]);
    expect(complete).toBeGreaterThan(5);
    expect(counts.has(1) && counts.has(4)).toBe(true);
  });

  test('a handler that runs on top of a wait does not hide who waits', () => {
    const source = join(folder, 'signals.c');
    writeFileSync(
      source,
      `#include <signal.h>
       #include <unistd.h>
       static void handler(int number) { usleep(400000); (void)number; }
       void outer(int id) { pause(); (void)id; }
       int main(void) { signal(SIGUSR1, handler); for (;;) outer(17); }`,
    );
    const { pid } = start(compile(source, folder, 'signals'));
    pause(80);
    process.kill(pid, 'SIGUSR1');
    pause(80);
    const target = openTarget(pid);
    const thread = target.look().threads[0]!;
    expect(names(thread)).toEqual(expect.arrayContaining(['handler', 'pause', 'outer', 'main']));
    expect(thread.complete).toBe(true);
    target.close();
    process.kill(pid, 'SIGKILL');
  });

  test('exec is noticed: what is told belongs to the new program', () => {
    const { pid } = start('/bin/sh', ['-c', `sleep 0.15; exec ${device} --cycles 3`]);
    pause(60);
    let replaced = 0;
    const after = new Set<string | null>();
    const target = openTarget(pid);
    const before = target.binary;
    for (let look = target.look(); !look.gone; look = target.look()) {
      if (look.replaced) replaced++;
      if (replaced > 0) for (const thread of look.threads) for (const name of names(thread)) after.add(name);
      pause(2);
    }
    target.close();
    expect(replaced).toBe(1);
    expect(target.binary).toBe(device);
    expect(before).not.toBe(device);
    expect(after.has('actuate')).toBe(true);
  });

  test('a busy thread is running or seen, never wrong', () => {
    const source = join(folder, 'busy.c');
    writeFileSync(
      source,
      `volatile unsigned long n; void inner(int x) { for (;;) n += x; } int main(void) { inner(3); }`,
    );
    const { pid } = start(compile(source, folder, 'busy'));
    pause(60);
    const target = openTarget(pid);
    const outcomes = new Set<string>();
    for (let i = 0; i < 500; i++)
      for (const thread of target.look().threads) {
        outcomes.add(thread.outcome);
        if (thread.complete) expect(names(thread)).toEqual(expect.arrayContaining(['inner', 'main']));
      }
    target.close();
    process.kill(pid, 'SIGKILL');
    expect(outcomes.has('running')).toBe(true);
    expect(outcomes.has('gone')).toBe(false);
  });

  test('frames agree with gdb where it is installed', () => {
    let text: string;
    const { pid } = start(device, ['--cycles', '1000']);
    pause(100);
    const target = openTarget(pid);
    process.kill(pid, 'SIGSTOP');
    pause(20);
    const ours = target.look().threads[0]!;
    target.close();
    try {
      text = execFileSync('gdb', ['-batch', '-nx', '-p', String(pid), '-ex', 'bt'], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
    } catch {
      return;
    } finally {
      process.kill(pid, 'SIGKILL');
    }
    const theirs = [...text.matchAll(/^#\d+ +(?:0x[0-9a-f]+ in )?(\w+) \(/gm)].map((match) =>
      match[1]!.replace(/^_+/, ''),
    );
    const upTo = theirs.indexOf('main') + 1;
    expect(upTo).toBeGreaterThan(3);
    expect(
      names(ours)
        .slice(0, upTo)
        .map((name) => name?.replace(/^_+/, '')),
    ).toEqual(theirs.slice(0, upTo).map((name) => name.replace(/^GI_+/, '')));
  });
});
