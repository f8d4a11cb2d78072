import { cpSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import type { Damage, Partition } from '../../infra/log/event-log.js';
import { openTrace } from '../../infra/log/trace/trace-log.js';
import { owned, rawEntry, restored, snapshotOf, values } from '../contract/log-records.js';
import { temporaryFolder } from '../support/tmp.js';

/**
 * A commit writes outputs, then snapshots, then its mark. Each crash is put together from the folder before a commit and
 * the folder after it: the files that were written already are the later ones.
 */
const root = temporaryFolder('commit');
const before = join(root, 'before');
const after = join(root, 'after');
const at = { topic: 'verdicts', partition: 0 };
const STATE = '.state/group/memory/0';

beforeAll(async () => {
  const log = await openTrace(before);
  for (const topic of ['memory', 'verdicts', 'dead-letters']) await log.createTopic(topic, 1);
  const { lease, done } = await owned(log, 'group', 'memory');
  await restored(lease);
  const output = { topic: 'verdicts', entry: rawEntry('first') };
  await lease.commit({ next: 1, outputs: [output], snapshots: [snapshotOf('a', '1')] });
  cpSync(before, after, { recursive: true });
  await done();
  await log.close();

  const later = await openTrace(after);
  const second = await owned(later, 'group', 'memory');
  await restored(second.lease);
  cpSync(after, before, { recursive: true });
  await second.lease.commit({
    next: 2,
    outputs: [
      { topic: 'verdicts', entry: rawEntry('second') },
      { topic: 'verdicts', entry: rawEntry('third') },
      { topic: 'dead-letters', entry: rawEntry('letter') },
    ],
    snapshots: [snapshotOf('a', '2'), snapshotOf('b', '2')],
  });
  await second.done();
  await later.close();
});

const crashed = (name: string, written: readonly string[]): string => {
  const folder = join(root, name);
  cpSync(before, folder, { recursive: true });
  for (const part of written)
    if (existsSync(join(after, part))) cpSync(join(after, part), join(folder, part), { recursive: true });
  return folder;
};

const snapshotFolders = (folder: string): string[] =>
  readdirSync(join(folder, STATE))
    .filter((name) => name.startsWith('snapshots'))
    .map((name) => `${STATE}/${name}`);

const nothingHappened = async (folder: string): Promise<void> => {
  const reader = await openTrace(folder, { readOnly: true });
  expect(await values(reader, at)).toEqual(['first']);
  expect(await values(reader, { topic: 'dead-letters', partition: 0 })).toEqual([]);
  const reports: (Damage & Partition)[] = [];
  const log = await openTrace(folder, { onReport: (damage) => reports.push(damage) });
  const { lease, done } = await owned(log, 'group', 'memory');
  expect(await restored(lease)).toEqual({ next: 1, states: { a: '1' } });
  const output = { topic: 'verdicts', entry: rawEntry('again') };
  await lease.commit({ next: 3, outputs: [output], snapshots: [snapshotOf('c', '3')] });
  await done();
  expect(await values(reader, at)).toEqual(['first', 'again']);
  const second = await owned(log, 'group', 'memory');
  expect(await restored(second.lease)).toEqual({ next: 3, states: { a: '1', c: '3' } });
  await second.done();
  expect(reports.some(({ topic }) => topic === 'verdicts')).toBe(true);
  await log.close();
  await reader.close();
};

test('a crash after the outputs leaves nothing to see', async () => {
  await nothingHappened(crashed('outputs', ['verdicts', 'dead-letters']));
});

test('a crash after the snapshots leaves nothing to see', async () => {
  await nothingHappened(crashed('snapshots', ['verdicts', 'dead-letters', ...snapshotFolders(after)]));
});

test('a mark torn at any byte does not count', async () => {
  const old = readFileSync(join(before, STATE, 'COMMIT'));
  const marked = readFileSync(join(after, STATE, 'COMMIT'));
  let from = 0;
  while (old[from] === marked[from]) from++;
  let to = Math.max(old.length, marked.length);
  while (old[to - 1] === marked[to - 1]) to--;
  expect(to - from).toBeGreaterThan(30);
  for (const cut of [from + 1, from + 9, from + 17, Math.floor((from + to) / 2), to - 1]) {
    const folder = crashed(`mark-${cut}`, ['verdicts', 'dead-letters', ...snapshotFolders(after)]);
    const torn = Buffer.alloc(Math.max(old.length, cut));
    old.copy(torn);
    marked.copy(torn, from, from, cut);
    writeFileSync(join(folder, STATE, 'COMMIT'), torn);
    await nothingHappened(folder);
  }
});

test('a whole mark counts, and all of it does', async () => {
  const folder = crashed('whole', ['verdicts', 'dead-letters', '.state']);
  const log = await openTrace(folder, { readOnly: true });
  expect(await values(log, at)).toEqual(['first', 'second', 'third']);
  expect(await values(log, { topic: 'dead-letters', partition: 0 })).toEqual(['letter']);
  await log.close();
});

test('a plain append after a crash does not make the crashed outputs count', async () => {
  const folder = crashed('appended', ['verdicts', 'dead-letters']);
  const log = await openTrace(folder);
  const letters = { topic: 'dead-letters', partition: 0 };
  await log.append(letters, [rawEntry('plain')]);
  expect(await values(log, letters)).toEqual(['plain']);
  await log.close();
});

test('state is rewritten before superseded snapshots outgrow it', async () => {
  const folder = join(root, 'compacted');
  const log = await openTrace(folder);
  await log.createTopic('memory', 1);
  let { lease, done } = await owned(log, 'group', 'memory');
  await restored(lease);
  const big = 'x'.repeat(100_000);
  for (let i = 0; i < 60; i++)
    await lease.commit({
      next: i,
      outputs: [],
      snapshots: [snapshotOf(`k${i % 3}`, `${i} ${big}`), snapshotOf('small', `${i}`)],
    });
  await done();
  const size = (name: string): number =>
    readdirSync(join(folder, name)).reduce((sum, file) => sum + statSync(join(folder, name, file)).size, 0);
  const [current, ...others] = snapshotFolders(folder);
  expect(others).toEqual([]);
  expect(size(current!)).toBeLessThan(4 * 300_000 + (1 << 20) + 200_000);
  ({ lease, done } = await owned(log, 'group', 'memory'));
  const { next, states } = await restored(lease);
  expect(next).toBe(59);
  expect(
    Object.entries(states)
      .map(([key, state]) => [key, state.split(' ')[0]])
      .sort(),
  ).toEqual([
    ['k0', '57'],
    ['k1', '58'],
    ['k2', '59'],
    ['small', '59'],
  ]);
  await done();
  await log.close();
});
