import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { openTrace } from '../../../infra/log/trace/trace-log.js';
import { owned, rawEntry, restored, values } from '../../contract/log-records.js';
import { temporaryFolder } from '../../support/tmp.js';

const root = temporaryFolder('locks');
const at = { topic: 'memory', partition: 0 };
const holders: ChildProcess[] = [];

/** Another process that holds a lock file until it is told to go. */
const hold = async (file: string): Promise<() => Promise<void>> => {
  const child = spawn('flock', [file, 'sh', '-c', 'echo held; read line'], { stdio: ['pipe', 'pipe', 'inherit'] });
  holders.push(child);
  await new Promise((resolve) => child.stdout!.once('data', resolve));
  return () =>
    new Promise((resolve) => {
      child.once('exit', () => resolve());
      child.stdin!.end('\n');
    });
};

afterEach(() => {
  for (const child of holders.splice(0)) child.kill();
});

test('an append waits for another process, within its patience', async () => {
  const folder = join(root, 'append');
  const log = await openTrace(folder, { patience: 30 });
  await log.createTopic('memory', 1);
  await log.append(at, [rawEntry('a')]);
  const letGo = await hold(join(folder, 'memory/0/LOCK'));
  await expect(log.append(at, [rawEntry('b')])).rejects.toMatchObject({ code: 'LOG_LOCKED' });
  await log.close();
  const patient = await openTrace(folder);
  const appended = patient.append(at, [rawEntry('c')]);
  await letGo();
  expect(await appended).toBe(1);
  expect(await values(patient, at)).toEqual(['a', 'c']);
  await patient.close();
});

test('a partition that another process owns is waited for, or refused when patience ends', async () => {
  const folder = join(root, 'own');
  const log = await openTrace(folder);
  await log.createTopic('memory', 2);
  mkdirSync(join(folder, '.state/group/memory/0'), { recursive: true });
  const letGo = await hold(join(folder, '.state/group/memory/0/LOCK'));
  const got: number[] = [];
  const impatient = (async () => {
    for await (const lease of log.own('group', 'memory', new AbortController().signal, { patience: 20 })) {
      got.push(lease.partition);
      await lease.release();
    }
  })();
  await expect(impatient).rejects.toMatchObject({ code: 'LOG_LOCKED' });
  expect(got).toEqual([1]);
  const waiting = owned(log, 'group', 'memory');
  const other = await waiting;
  expect(other.lease.partition).toBe(1);
  await other.done();
  const stop = new AbortController();
  const leases = log.own('group', 'memory', stop.signal, { only: [0] })[Symbol.asyncIterator]();
  const next = leases.next();
  await letGo();
  expect((await next).value).toMatchObject({ partition: 0 });
  stop.abort();
  await log.close();
});

test('two logs on one folder write in turn, and neither loses a record', async () => {
  const folder = join(root, 'turns');
  const [a, b] = [await openTrace(folder), await openTrace(folder)];
  await a.createTopic('memory', 1);
  const write = async (log: typeof a, name: string): Promise<void> => {
    for (let i = 0; i < 40; i++) await log.append(at, [rawEntry(`${name}${i}`), rawEntry(`${name}${i}+`)]);
  };
  await Promise.all([write(a, 'a'), write(b, 'b')]);
  const seen = await values(a, at);
  expect(seen).toHaveLength(160);
  for (const name of ['a', 'b'])
    expect(seen.filter((value) => value.startsWith(name))).toEqual(
      Array.from({ length: 40 }, (_, i) => [`${name}${i}`, `${name}${i}+`]).flat(),
    );
  await a.close();
  await b.close();
});

test('a closed log gives up its partitions and answers no more', async () => {
  const folder = join(root, 'closed');
  const log = await openTrace(folder);
  await log.createTopic('memory', 1);
  const { lease } = await owned(log, 'group', 'memory');
  const following = (async () => {
    for await (const batch of log.read(at, 0, 'follow')) expect(batch.length).toBe(0);
  })();
  const refused = expect(following).rejects.toMatchObject({ code: 'LOG_CLOSED' });
  await new Promise((resolve) => setTimeout(resolve, 5));
  await log.close();
  await refused;
  expect(lease.lost.aborted).toBe(true);
  await expect(log.append(at, [rawEntry('x')])).rejects.toMatchObject({ code: 'LOG_CLOSED' });
  const again = await openTrace(folder);
  const second = await owned(again, 'group', 'memory');
  expect(second.lease.generation).toBe(lease.generation + 1);
  expect(await restored(second.lease)).toEqual({ next: 0, states: {} });
  await again.close();
});

test('a new schema begins a new file, so that every file describes itself', async () => {
  const folder = join(root, 'roll');
  const log = await openTrace(folder);
  await log.createTopic('things', 1);
  const to = { topic: 'things', partition: 0 };
  for (const [name, timestamp] of [
    ['A', 10],
    ['B', 20],
    ['C', 15],
  ] as const) {
    const schema = log.schemas.add(JSON.stringify({ type: 'record', name, fields: [{ name: 'n', type: 'long' }] }));
    await log.append(to, [{ key: null, schema, value: Buffer.from([4]), timestamp }]);
  }
  await log.close();
  const fresh = await openTrace(folder, { readOnly: true });
  const seen: string[] = [];
  for await (const batch of fresh.read(to, 0, 3))
    for (const schema of batch.schemas) seen.push(fresh.schemas.at(schema).name);
  expect(seen).toEqual(['A', 'B', 'C']);
  expect(readdirSync(join(folder, 'things/0')).filter((name) => name.endsWith('.avro'))).toHaveLength(3);
  for (const [timestamp, offset] of [
    [5, 0],
    [11, 1],
    [16, 1],
    [20, 1],
    [21, 3],
  ] as const)
    expect([timestamp, await fresh.offsetAt(to, timestamp)]).toEqual([timestamp, offset]);
  await fresh.close();
});
