import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import type { EventLog } from '../../infra/log/event-log.js';
import { memoryLog } from '../../infra/log/memory-log.js';
import { record, recordCommand } from '../../producers/memory/record/record.js';
import { openTarget } from '../../producers/memory/sample/look.js';
import { AttestreamError } from '../../schemas/errors.js';
import { parsePolicy } from '../../schemas/policy/parse.js';
import type { Look, ProcessEvent, StreamOpened } from '../../schemas/records.js';
import { partitionOf } from '../../schemas/topics.js';
import { buildDevice, noCompiler, pause, readCalls, start } from '../support/device.js';
import '../support/source-threads.js';
import { temporaryFolder } from '../support/tmp.js';

const suite = noCompiler === '' ? describe : describe.skip;
const folder = temporaryFolder('record');
const device = noCompiler === '' ? buildDevice(folder) : '';
const policyFile = fileURLToPath(new URL('../../examples/device/policy.yaml', import.meta.url));
const policy = parsePolicy(readFileSync(policyFile, 'utf8'), policyFile);

type Told = { name: string; value: StreamOpened & ProcessEvent & Look };

const readAll = async (log: EventLog, host: string): Promise<Told[]> => {
  const bounds = await log.bounds('memory');
  const partition = partitionOf(host, bounds.length);
  const told: Told[] = [];
  for await (const batch of log.read({ topic: 'memory', partition }, 0, bounds[partition]!.end))
    for (let i = 0; i < batch.length; i++) {
      expect(batch.bytes.toString('utf8', batch.keys[2 * i]!, batch.keys[2 * i + 1]!)).toBe(host);
      const schema = log.schemas.at(batch.schemas[i]!);
      const value = schema.decode(Buffer.from(batch.bytes.subarray(batch.values[2 * i]!, batch.values[2 * i + 1]!)));
      told.push({ name: schema.record!, value: value as Told['value'] });
    }
  return told;
};

suite(`recording a live program ${noCompiler}`, () => {
  test('the log tells every call of a device from its beginning to its end', async () => {
    const log = memoryLog();
    const calls = join(folder, 'calls');
    const recorded = await recordCommand(device, ['--cycles', '6', '--log', calls], { policy, log, budget: 250 });
    expect(recorded).toMatchObject({ ended: true, exitCode: 0 });
    const told = await readAll(log, recorded.host);

    expect(told[0]).toMatchObject({ name: 'StreamOpened', value: { kind: 'record' } });
    expect(told[1]).toMatchObject({
      name: 'ProcessEvent',
      value: { kind: 'found', beginning: true, binary: device, process: recorded.process },
    });
    expect(told.at(-1)).toMatchObject({ name: 'ProcessEvent', value: { kind: 'gone', exitCode: null } });
    expect(told.map(({ value }) => value.seq)).toEqual(told.map((_, seq) => seq));
    expect(new Set(told.map(({ value }) => value.stream.toString('hex'))).size).toBe(1);

    const { offset } = told[0]!.value;
    const looks = told.filter(({ name }) => name === 'Look').map(({ value }) => value);
    expect(looks).toHaveLength(recorded.looks);
    const seen = looks.flatMap((look) =>
      look.threads.flatMap((thread) => thread.frames.map((frame) => ({ at: thread.at - offset, frame }))),
    );
    const truth = readCalls(calls).calls;
    expect(truth).toHaveLength(24);
    let hits = 0;
    for (const call of truth) {
      const hit = seen.find(
        ({ at, frame }) => frame.function === call.function && at >= call.began && at <= call.ended,
      );
      // On a busy machine no look may fall into a call; one that does must tell of it. A millisecond for what surrounds the wait.
      const looked = looks.some(({ threads }) =>
        threads.some(
          ({ at, outcome }) =>
            outcome === 'sampled' && at - offset > call.began + 1000 && at - offset < call.ended - 1000,
        ),
      );
      if (looked) expect({ call, hit: hit !== undefined }).toEqual({ call, hit: true });
      if (hit !== undefined) hits++;
      if (hit !== undefined && call.function === 'actuate')
        expect(hit.frame.parameters.find(({ name }) => name === 'level')).toMatchObject({
          type: 'int',
          kind: 'current',
          int: call.value,
        });
    }
    expect(hits).toBeGreaterThan(truth.length / 2);
    // Only what the policy names leaves in clear; a hash never shows the value.
    const actuate = seen.find(({ frame }) => frame.function === 'actuate')!.frame;
    expect(actuate.parameters.find(({ name }) => name === 'valve')).toMatchObject({
      type: 'hash',
      text: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    const publish = seen.find(({ frame }) => frame.function === 'publish')!.frame;
    expect(publish.parameters.find(({ name }) => name === 'retained')).toMatchObject({ kind: 'unavailable' });
    expect(JSON.stringify(seen)).not.toContain('plant/boiler');
    expect(looks.some((look) => look.threads.some((thread) => thread.asBefore && thread.frames.length === 0))).toBe(
      true,
    );
  });

  test('attaching to a running program claims no beginning, and ends when its time is over', async () => {
    const { pid } = start(device, ['--cycles', '1000']);
    pause(50);
    const log = memoryLog();
    const recorded = await record({ pid, policy: null, log, for: 300_000, budget: 100, partitions: 3 });
    expect(recorded.ended).toBe(false);
    expect(recorded.looks).toBeGreaterThan(10);
    expect(recorded.looks).toBeLessThanOrEqual(31);
    const told = await readAll(log, recorded.host);
    expect(told[1]!.value).toMatchObject({ kind: 'found', beginning: false, binary: device });
    expect(told.at(-1)!.name).toBe('Look');
    // Without a policy no parameter leaves.
    expect(
      told
        .flatMap(({ value }) => value.threads ?? [])
        .flatMap(({ frames }) => frames)
        .flatMap(({ parameters }) => parameters),
    ).toEqual([]);
  });

  test('a signal to stop ends the recording with all of it in the log', async () => {
    const { pid } = start(device, ['--cycles', '1000']);
    pause(50);
    const log = memoryLog();
    const stop = new AbortController();
    const recorded = await record({
      pid,
      policy,
      log,
      stop: stop.signal,
      onLook: (look) => look.at > 0 && stop.abort(),
    });
    expect(recorded.looks).toBe(1);
    expect(await readAll(log, recorded.host)).toHaveLength(3);
  });

  test('a program that cannot be started says so', async () => {
    const missing = recordCommand(join(folder, 'missing'), [], { policy, log: memoryLog() });
    await expect(missing).rejects.toMatchObject({ code: 'PROCESS_START_FAILED' });
  });

  test('a log that is away for a while is met again, with nothing lost', async () => {
    const log = memoryLog();
    const append = log.append.bind(log);
    let away = 2;
    log.append = async (to, entries) => {
      if (away-- > 0) throw new AttestreamError('KAFKA_UNREACHABLE', 'nobody answers');
      return append(to, entries);
    };
    const troubles: string[] = [];
    const options = { policy, log, budget: 100, onTrouble: (message: string) => troubles.push(message) };
    const recorded = await recordCommand(device, ['--cycles', '2'], options);
    expect(recorded).toMatchObject({ ended: true, exitCode: 0 });
    expect(troubles).toHaveLength(2);
    const told = await readAll(log, recorded.host);
    expect(told.map(({ value }) => value.seq)).toEqual(told.map((_, seq) => seq));
    expect(told.filter(({ name }) => name === 'Look')).toHaveLength(recorded.looks);
  });

  test('a log that refuses ends the recording with its error', async () => {
    const { pid } = start(device, ['--cycles', '1000']);
    const log = memoryLog();
    const broken: EventLog = Object.create(log, {
      append: { value: () => Promise.reject(new Error('the disk is full')) },
      schemas: { value: log.schemas },
      bounds: { value: log.bounds.bind(log) },
      createTopic: { value: log.createTopic.bind(log) },
    }) as EventLog;
    await expect(record({ pid, policy, log: broken, for: 2_000_000 })).rejects.toThrow('the disk is full');
    expect(() => openTarget(pid).close()).not.toThrow();
  });
});
