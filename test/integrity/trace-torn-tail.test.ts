import { appendFileSync, cpSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { Damage, Partition } from '../../infra/log/event-log.js';
import { openTrace } from '../../infra/log/trace/trace-log.js';
import { rawEntry, values } from '../contract/log-records.js';
import { temporaryFolder } from '../support/tmp.js';

const root = temporaryFolder('torn');
const at = { topic: 'things', partition: 0 };
const dataFile = (folder: string): string => {
  const names = readdirSync(join(folder, 'things/0')).filter((name) => name.endsWith('.avro'));
  return join(folder, 'things/0', names.sort().at(-1)!);
};

const whole = join(root, 'whole');
const made = async (): Promise<{ before: number; after: number; header: number }> => {
  const log = await openTrace(whole);
  await log.createTopic('things', 1);
  await log.append(at, [rawEntry('a')]);
  const header = readFileSync(dataFile(whole)).length;
  await log.append(at, [rawEntry('b')]);
  const before = readFileSync(dataFile(whole)).length;
  await log.append(at, [rawEntry('c'), rawEntry('d')]);
  await log.close();
  return { before, after: readFileSync(dataFile(whole)).length, header };
};

test('a tail torn at any byte is no record to readers, and is cut off by the next writer alone', async () => {
  const { before, after } = await made();
  for (let size = before; size < after; size++) {
    const folder = join(root, `cut-${size}`);
    cpSync(whole, folder, { recursive: true });
    truncateSync(dataFile(folder), size);
    const reader = await openTrace(folder, { readOnly: true });
    expect(await values(reader, at)).toEqual(['a', 'b']);
    expect(readFileSync(dataFile(folder)).length).toBe(size);
    const reports: (Damage & Partition)[] = [];
    const writer = await openTrace(folder, { onReport: (damage) => reports.push(damage) });
    expect(await writer.append(at, [rawEntry('e')])).toBe(2);
    expect(reports.map(({ code, from, topic }) => [code, from, topic])).toEqual(
      size === before ? [] : [['TRACE_TORN', 2, 'things']],
    );
    expect(await values(reader, at)).toEqual(['a', 'b', 'e']);
    await writer.close();
    await reader.close();
  }
});

test('a follower waits at a torn tail and goes on behind it', async () => {
  const folder = join(root, 'followed');
  cpSync(whole, folder, { recursive: true });
  const file = dataFile(folder);
  const bytes = readFileSync(file);
  truncateSync(file, bytes.length - 5);
  const reader = await openTrace(folder, { readOnly: true });
  const stop = new AbortController();
  const seen: string[] = [];
  const reading = (async () => {
    for await (const batch of reader.read(at, 0, 'follow', stop.signal)) {
      expect(batch.damage).toEqual([]);
      for (let i = 0; i < batch.length; i++)
        seen.push(batch.bytes.toString('latin1', batch.values[2 * i], batch.values[2 * i + 1]));
      if (seen.length >= 4) stop.abort();
    }
  })();
  await new Promise((resolve) => setTimeout(resolve, 40));
  expect(seen).toEqual(['a', 'b']);
  appendFileSync(file, bytes.subarray(bytes.length - 5));
  await reading;
  expect(seen).toEqual(['a', 'b', 'c', 'd']);
  await reader.close();
});

test('a file that was only just begun is no obstacle', async () => {
  const header = readFileSync(dataFile(whole)).subarray(0, 40);
  for (const [name, content] of [
    ['empty', Buffer.alloc(0)],
    ['header', header],
    ['zeros', Buffer.alloc(4096)],
  ] as const) {
    const folder = join(root, `begun-${name}`);
    cpSync(whole, folder, { recursive: true });
    writeFileSync(join(folder, 'things/0/00000000000000000004.avro'), content);
    const reader = await openTrace(folder, { readOnly: true });
    expect(await values(reader, at)).toEqual(['a', 'b', 'c', 'd']);
    expect(await reader.bounds('things')).toEqual([
      { first: 0, end: 4, ...(content.length > 0 ? { torn: content.length } : {}) },
    ]);
    const writer = await openTrace(folder);
    expect(await writer.append(at, [rawEntry('e')])).toBe(4);
    expect(await values(reader, at)).toEqual(['a', 'b', 'c', 'd', 'e']);
    await writer.close();
    await reader.close();
  }
});
