import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { catRecords } from '../../infra/log/trace/cat.js';
import { openTrace } from '../../infra/log/trace/trace-log.js';
import { encodeRecord } from '../../schemas/codec.js';
import { temporaryFolder } from '../support/tmp.js';

const folder = temporaryFolder('python');
const script = fileURLToPath(new URL('../../examples/read-trace.py', import.meta.url));
const library = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'attestream-test', 'fastavro-1.13.1');

/** Null if fastavro is at hand or could be installed; else why not. */
const missing = (): string | null => {
  try {
    if (!existsSync(join(library, 'fastavro')))
      execFileSync('python3', ['-m', 'pip', 'install', '-q', '--target', library, 'fastavro==1.13.1'], {
        stdio: 'pipe',
        timeout: 50_000,
      });
    return null;
  } catch (error) {
    return `fastavro is not to be had: ${(error as Error).message.split('\n')[0]}`;
  }
};

const without = missing();
if (without !== null) console.warn(without);

(without === null ? test : test.skip)('a reader in another language sees what we see', async () => {
  const log = await openTrace(folder);
  await log.createTopic('memory', 1);
  const at = { topic: 'memory', partition: 0 };
  const { schemas } = log;
  const stream = Buffer.alloc(32, 0xab);
  for (let i = 0; i < 3; i++)
    await log.append(at, [
      {
        key: Buffer.from(`host-${i}`),
        schema: schemas.current('Gap'),
        value: encodeRecord('Gap', {
          stream,
          seq: i,
          at: 1_700_000_000_000_000 + i,
          notBefore: 5,
          process: '1:2',
          reason: 'lost',
          lost: 3,
        }),
      },
      { key: null, schema: -1, value: Buffer.from([1, 2, 3]), headers: [{ key: 'none', value: null }], timestamp: 5 },
      { key: Buffer.from('k'), schema: -1, value: null },
    ]);
  const ours = [];
  for await (const record of catRecords(log)) ours.push(record);
  await log.close();
  const files = readdirSync(join(folder, 'memory/0')).filter((name) => name.endsWith('.avro'));
  const printed = execFileSync('python3', [script, ...files.sort().map((name) => join(folder, 'memory/0', name))], {
    encoding: 'utf8',
    env: { ...process.env, PYTHONPATH: library },
  });
  const theirs = printed
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const hex = (text: string | null): string | null => (text === null ? null : Buffer.from(text).toString('hex'));
  expect(
    theirs.map(({ topic, partition, offset, timestamp, timestampType, key }) => ({
      topic,
      partition,
      offset,
      timestamp,
      timestampType,
      key,
    })),
  ).toEqual(
    ours.map(({ topic, partition, offset, ts, tstype, key }) => ({
      topic,
      partition,
      offset,
      timestamp: ts,
      timestampType: tstype === 'create' ? 0 : 1,
      key: hex(key),
    })),
  );
  expect(
    theirs.map(({ headers }) =>
      (headers as { key: string; value: string | null }[]).flatMap(({ key, value }) => [key, value]),
    ),
  ).toEqual(ours.map(({ headers }) => headers.map((part, i) => (i % 2 === 0 ? part : hex(part)))));
  // fastavro makes a date of `timestamp-micros`, printed as text: the other fields are compared.
  const timeless = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    const { at: _at, notBefore: _notBefore, ...rest } = value as Record<string, unknown>;
    return rest;
  };
  expect(theirs.map(({ value }) => timeless(value))).toEqual(ours.map(({ payload, raw }) => raw ?? timeless(payload)));
  expect(theirs).toHaveLength(9);
});
