import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, jest, test } from '@jest/globals';
import type { EventLog } from '../../infra/log/event-log.js';
import { memoryLog } from '../../infra/log/memory-log.js';
import { boottimeMicros } from '../../producers/identity/boottime.js';
import { hostIdentity } from '../../producers/identity/host.js';
import { record } from '../../producers/memory/record/record.js';
import { releaseRules } from '../../producers/memory/record/release.js';
import type { SamplerTold } from '../../producers/memory/sample/sampler-messages.js';
import { startSampler } from '../../producers/memory/sample/start-sampler.js';
import { encodeRecord } from '../../schemas/codec.js';
import { parsePolicy } from '../../schemas/policy/parse.js';
import type { Gap, Look, Prediction, ProcessEvent } from '../../schemas/records.js';
import { partitionOf } from '../../schemas/topics.js';
import { compile, noCompiler, pause, start } from '../support/device.js';
import '../support/source-threads.js';
import { temporaryFolder } from '../support/tmp.js';

// Whether a look hits what was predicted is decided by the CPU that others leave: what the thread can do shows in one of three.
jest.retryTimes(2, { logErrorsBeforeRetry: true });

const suite = noCompiler === '' ? describe : describe.skip;
const folder = temporaryFolder('sampler');
mkdirSync(folder, { recursive: true });
const program = (name: string, source: string): string => {
  writeFileSync(join(folder, `${name}.c`), source);
  return compile(join(folder, `${name}.c`), folder, name);
};

type Told = { name: string; value: ProcessEvent & Look & Gap };
const readAll = async (log: EventLog, host: string): Promise<Told[]> => {
  const bounds = await log.bounds('memory');
  const partition = partitionOf(host, bounds.length);
  const told: Told[] = [];
  for await (const batch of log.read({ topic: 'memory', partition }, 0, bounds[partition]!.end))
    for (let i = 0; i < batch.length; i++) {
      const schema = log.schemas.at(batch.schemas[i]!);
      const value = schema.decode(Buffer.from(batch.bytes.subarray(batch.values[2 * i]!, batch.values[2 * i + 1]!)));
      told.push({ name: schema.record!, value: value as Told['value'] });
    }
  return told;
};

const predict = async (log: EventLog, host: string, prediction: Omit<Prediction, 'id' | 'host'>): Promise<void> => {
  await log.createTopic('predictions', 4);
  const value = encodeRecord('Prediction', { ...prediction, id: Buffer.alloc(32), host });
  const schema = log.schemas.current('Prediction');
  await log.append({ topic: 'predictions', partition: partitionOf(host, 4) }, [
    { key: Buffer.from(host), schema, value },
  ]);
};

suite(`the sampling thread ${noCompiler}`, () => {
  const ticker =
    noCompiler === ''
      ? program(
          'ticker',
          `#include <time.h>
    void work(int n) { struct timespec t = { 0, 15000000 }; clock_nanosleep(CLOCK_MONOTONIC, 0, &t, 0); (void)n; }
    int main(void) { struct timespec next; clock_gettime(CLOCK_MONOTONIC, &next);
      for (int n = 0;; n++) { work(n); next.tv_nsec += 300000000;
        if (next.tv_nsec >= 1000000000) { next.tv_nsec -= 1000000000; next.tv_sec++; }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, 0); } }`,
        )
      : '';

  test('planned instants are kept while the main thread is busy', async () => {
    const { pid } = start('/bin/sleep', ['30']);
    pause(30);
    const sampler = startSampler({ offset: 0, hashKey: new Uint8Array(32) });
    sampler.ask({ is: 'group', group: '', budget: { looks: 2000, cpu: Number.POSITIVE_INFINITY } });
    const rules = releaseRules(null);
    const add = { id: 1, group: '', pid, startTime: null, binary: 'any', release: rules, mayStop: false };
    sampler.ask({ is: 'add', ...add, becomesUntil: null });
    let opened: SamplerTold | undefined;
    while (opened === undefined) opened = (await sampler.told())!.find(({ is }) => is === 'opened');
    const now = boottimeMicros();
    const rows = Array.from({ length: 100 }, (_, i) => {
      const offset = 50_000 + i * 5000;
      const [seen, name] = ['f', 'g'];
      return { seen, function: name, offset, from: offset, to: offset + 1, visible: 1, probability: 1e6, weight: 1e6 };
    });
    const process = `${pid}:${(opened as { startTime: string }).startTime}`;
    const anchor = { function: 'f', notBefore: now, at: now };
    const head = { id: Buffer.alloc(32), host: '', container: '', policy: '', slice: '', at: now };
    sampler.ask({ is: 'predict', prediction: { ...head, process, validUntil: now + 1e7, anchor, rows } });
    // Neither timers nor messages of this thread run now.
    for (const end = performance.now() + 700; performance.now() < end; );
    sampler.ask({ is: 'end' });
    const looks: Omit<Look, 'stream' | 'seq'>[] = [];
    let lateness: unknown = null;
    for (let batch = await sampler.told(); batch !== null; batch = await sampler.told())
      for (const told of batch) {
        if (told.is === 'look') looks.push(told.look);
        if (told.is === 'ended') lateness = told.lateness;
      }
    const late = looks
      .filter(({ planned }) => planned === 'predicted')
      .map(({ notBefore, due }) => notBefore - due!)
      .sort((a, b) => a - b);
    // Where other programs take the CPU for longer than a plan holds, its look is not made.
    expect(late.length).toBeGreaterThan(20);
    expect(late[0]).toBeGreaterThanOrEqual(0);
    // Other programs may take the CPU, but what this thread does holds nothing up: it was busy a hundred times as long.
    expect(late[Math.floor(late.length / 2)]).toBeLessThan(7000);
    expect(lateness).toMatchObject({ predicted: { median: expect.any(Number) } });
    end(pid);
  });

  test('a prediction in the log brings looks to where a function is seen, and re-anchors on what they see', async () => {
    const { pid } = start(ticker);
    pause(50);
    const log = memoryLog();
    const policy = parsePolicy(
      `id: ticker\nbinary: "**/ticker"\nfunctions: { work: { parameters: { n: clear } } }\nmachine: { initial: a, states: { a: { on: { work: a } } } }`,
      'ticker.yaml',
    );
    const { host } = hostIdentity();
    const stop = new AbortController();
    let process = '';
    const row = { seen: 'work', function: 'work', offset: 307_000, from: 299_000, to: 316_000, visible: 15_000 };
    const recorded = record({
      pid,
      policy,
      log,
      budget: 20,
      for: 5_000_000,
      stop: stop.signal,
      onLook: (look) => {
        if (process !== '') return;
        process = look.process;
        void predict(log, host, {
          ...{ container: '', process, policy: '', slice: '', at: look.at, anchor: null },
          validUntil: look.at + 60_000_000,
          rows: [{ ...row, probability: 1_000_000, weight: 1_000_000 }],
        });
      },
    });
    const { predicted, looks, lateness } = await recorded;
    expect(looks).toBeGreaterThan(20);
    expect(looks).toBeLessThan(115);
    expect(predicted).toBeGreaterThan(5);
    // Half of the window in which the function is seen.
    expect(lateness.predicted.median).toBeLessThan(7500);
    const told = (await readAll(log, host)).filter(({ name }) => name === 'Look').map(({ value }) => value);
    const hits = (why: string): number =>
      told.filter(
        (look) =>
          look.planned === why && look.threads.some(({ frames }) => frames.some((frame) => frame.function === 'work')),
      ).length;
    const share = (why: string): number => hits(why) / told.filter((look) => look.planned === why).length;
    // It is on the stack a twentieth of the time.
    expect(share('blind')).toBeLessThan(0.3);
    expect(share('predicted')).toBeGreaterThan(3 * share('blind'));
    end(pid);
  });

  test('what a process forks and becomes is followed, and each has its beginning, its program and its end', async () => {
    const child = program(
      'child',
      `#include <unistd.h>
      void inside(int x) { usleep(500000); (void)x; } int main(void) { inside(3); return 0; }`,
    );
    const parent = program(
      'parent',
      `#include <unistd.h>
      #include <sys/wait.h>
      void copied(int x) { usleep(700000); (void)x; }
      int main(void) { usleep(900000);
        if (fork() == 0) { copied(1); _exit(0); }
        if (fork() == 0) { usleep(300000); execl("${child}", "child", (char *)0); }
        while (wait(0) > 0) ; usleep(100000); return 0; }`,
    );
    const { pid } = start(parent);
    pause(40);
    const log = memoryLog();
    const recorded = await record({ pid, policy: null, log, budget: 200 });
    expect(recorded).toMatchObject({ ended: true, processes: 3 });
    const told = await readAll(log, recorded.host);
    const events = told.filter(({ name }) => name === 'ProcessEvent').map(({ value }) => value);
    const of = (process: string): unknown[] =>
      events.filter((event) => event.process === process).map(({ kind, binary }) => [kind, binary]);
    expect(of(recorded.process)).toEqual([
      ['found', parent],
      ['gone', parent],
    ]);
    const forks = events.filter(({ kind }) => kind === 'fork');
    expect(forks).toHaveLength(2);
    for (const { parent: from, notBefore, at } of forks) {
      expect(from).toBe(recorded.process);
      expect(notBefore).toBeLessThanOrEqual(at);
    }
    expect(of(forks[0]!.process)).toEqual([
      ['fork', parent],
      ['gone', parent],
    ]);
    expect(of(forks[1]!.process)).toEqual([
      ['fork', parent],
      ['exec', child],
      ['gone', child],
    ]);
    const seen = (process: string): Set<string> =>
      new Set(
        told
          .filter(({ name, value }) => name === 'Look' && value.process === process)
          .flatMap(({ value }) => value.threads.flatMap(({ frames }) => frames.map((frame) => frame.function))),
      );
    expect(seen(forks[0]!.process).has('copied')).toBe(true);
    expect(seen(forks[1]!.process).has('inside')).toBe(true);
    expect(told.map(({ value }) => value.seq)).toEqual(told.map((_, seq) => seq));
  });

  test('a log that falls behind holds looks back, and says how many were left out', async () => {
    const { pid } = start('/bin/sleep', ['30']);
    pause(30);
    const inner = memoryLog();
    let held = true;
    const slow = Object.create(inner, {
      schemas: { value: inner.schemas },
      append: {
        value: async (...args: Parameters<EventLog['append']>) => {
          while (held) await new Promise((resolve) => setTimeout(resolve, 10));
          return inner.append(...args);
        },
      },
      bounds: { value: inner.bounds.bind(inner) },
      createTopic: { value: inner.createTopic.bind(inner) },
    }) as EventLog;
    setTimeout(() => {
      held = false;
    }, 5000);
    const recorded = await record({ pid, policy: null, log: slow, budget: 10_000, for: 5_600_000 });
    end(pid);
    const told = await readAll(inner, recorded.host);
    const gaps = told.filter(({ name }) => name === 'Gap').map(({ value }) => value);
    expect(gaps.some(({ reason, lost }) => reason === 'LOG_BEHIND' && lost > 0)).toBe(true);
    expect(told.map(({ value }) => value.seq)).toEqual(told.map((_, seq) => seq));
  });
});

const end = (pid: number): void => void process.kill(pid, 'SIGKILL');
