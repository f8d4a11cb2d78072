import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { expect, test } from '@jest/globals';
import { AvroBytes } from '../../infra/log/trace/avro-bytes.js';
import { ENVELOPE_SCHEMA } from '../../infra/log/trace/envelope.js';
import { openTrace } from '../../infra/log/trace/trace-log.js';
import { rawEntry, values } from '../contract/log-records.js';
import { temporaryFolder } from '../support/tmp.js';

const root = temporaryFolder('hostile');
const at = { topic: 'things', partition: 0 };
const SYNC = Buffer.alloc(16, 0xab);
let folders = 0;

const folderWith = (content: Buffer): string => {
  const folder = join(root, `f${folders++}`);
  mkdirSync(join(folder, 'things/0'), { recursive: true });
  writeFileSync(join(folder, 'things/0/00000000000000000000.avro'), content);
  return folder;
};

const header = (changed: Record<string, string> = {}): AvroBytes => {
  const metadata = {
    'avro.schema': JSON.stringify(ENVELOPE_SCHEMA),
    'avro.codec': 'null',
    'attestream.trace': '1',
    'attestream.schemas': '{}',
    ...changed,
  };
  const out = new AvroBytes();
  out.raw(Buffer.from('Obj\x01', 'latin1'));
  out.long(Object.keys(metadata).length);
  for (const [key, value] of Object.entries(metadata)) {
    out.text(key);
    out.text(value);
  }
  out.byte(0);
  out.raw(SYNC);
  return out;
};

const envelopes = (count: number, value = 'v'): Buffer => {
  const out = new AvroBytes();
  for (let i = 0; i < count; i++) {
    out.text('things');
    for (const number of [0, i, 1_700_000_000_000, 1]) out.long(number);
    for (const byte of [0, 0, 0, 2]) out.byte(byte);
    out.text(value);
  }
  return Buffer.from(out.bytes);
};

const withBlock = (out: AvroBytes, count: number, size: number, body: Buffer): Buffer => {
  out.long(count);
  out.long(size);
  out.raw(body);
  out.raw(SYNC);
  return Buffer.from(out.bytes);
};

const refusal = async (content: Buffer): Promise<unknown> => {
  const log = await openTrace(folderWith(content), { readOnly: true });
  try {
    const batches = [];
    for await (const batch of log.read(at, 0, 100)) batches.push(batch.length);
    return batches;
  } catch (error) {
    return (error as { code?: string }).code;
  } finally {
    await log.close();
  }
};

test('files that are not ours are named, not guessed at', async () => {
  expect(await refusal(Buffer.from('this is no trace at all'))).toBe('TRACE_FOREIGN');
  expect(await refusal(Buffer.from(header({ 'attestream.trace': '9' }).bytes))).toBe('TRACE_FOREIGN');
  expect(await refusal(Buffer.from(header({ 'avro.codec': 'zstandard' }).bytes))).toBe('TRACE_FOREIGN');
  expect(await refusal(Buffer.from(header({ 'avro.schema': '"string"' }).bytes))).toBe('TRACE_FOREIGN');
  expect(await refusal(Buffer.from(header({ 'avro.schema': '{' }).bytes))).toBe('TRACE_FOREIGN');
});

test('a header cannot choose our memory', async () => {
  const many = new AvroBytes();
  many.raw(Buffer.from('Obj\x01', 'latin1'));
  many.long(2 ** 40);
  expect(await refusal(Buffer.from(many.bytes))).toBe('TRACE_CORRUPT');
  many.clear();
  many.raw(Buffer.from('Obj\x01', 'latin1'));
  many.long(1);
  many.long(2 ** 45);
  expect(await refusal(Buffer.concat([many.bytes, Buffer.alloc(100, 65)]))).toBe('TRACE_CORRUPT');
});

test('schemas that are unusable or misnamed leave their records as bytes', async () => {
  const deep = `${'{"type":"array","items":'.repeat(20_000)}"long"${'}'.repeat(20_000)}`;
  for (const schemas of [
    'nonsense',
    '[]',
    '{"00":{}}',
    `{"0000000000000000":${deep}}`,
    '{"1111111111111111":"string"}',
  ])
    expect(
      await refusal(withBlock(header({ 'attestream.schemas': schemas }), 2, envelopes(2).length, envelopes(2))),
    ).toEqual([2]);
});

test('blocks cannot choose our memory, nor make us spin', async () => {
  const body = envelopes(2);
  const good = (out: AvroBytes): Buffer => withBlock(out, 2, body.length, body);
  for (const [count, size] of [
    [2 ** 50, body.length],
    [-1, body.length],
    [2, 2 ** 50],
    [2, -5],
    [0, 0],
    [3, body.length],
    [1, body.length],
  ] as const) {
    const out = header();
    out.long(count);
    out.long(size);
    out.raw(body);
    out.raw(SYNC);
    const result = await refusal(good(out));
    // The good block repeats the damaged one's offsets, which is as good a place as any for them.
    expect([count, size, result]).toEqual([count, size, [2]]);
  }
});

test('deflate is read, and a bomb is damage', async () => {
  const body = envelopes(500, 'v'.repeat(100));
  const packed = deflateRawSync(body);
  expect(await refusal(withBlock(header({ 'avro.codec': 'deflate' }), 500, packed.length, packed))).toEqual([100]);
  const bomb = deflateRawSync(Buffer.alloc(200 << 20), { level: 1 });
  const out = header({ 'avro.codec': 'deflate' });
  withBlock(out, 500, bomb.length, bomb);
  expect(await refusal(withBlock(out, 500, packed.length, packed))).toEqual([100]);
});

test('many records in one block come in several batches, all or none', async () => {
  const count = 40_000;
  const body = envelopes(count);
  const log = await openTrace(folderWith(withBlock(header(), count, body.length, body)), { readOnly: true });
  const lengths: number[] = [];
  for await (const batch of log.read(at, 100, 39_000)) lengths.push(batch.length);
  expect(lengths.reduce((a, b) => a + b)).toBe(38_900);
  expect(Math.max(...lengths)).toBeLessThanOrEqual(16_384);
  await log.close();
  const cut = Buffer.from(body);
  cut[cut.length - 2] = 0xff;
  expect(await refusal(withBlock(header(), count, cut.length, cut))).toEqual([0]);
});

test('a folder that is no trace, or may not be written, is only looked at', async () => {
  await expect(openTrace(join(root, 'absent'), { readOnly: true })).rejects.toMatchObject({ code: 'TRACE_NOT_FOUND' });
  expect(readdirSync(root)).not.toContain('absent');
  const log = await openTrace(join(root, 'fixed'));
  await log.createTopic('things', 1);
  await log.append(at, [rawEntry('a')]);
  await log.close();
  cpSync(join(root, 'fixed'), join(root, 'kept'), { recursive: true });
  for (const folder of ['', 'things', 'things/0']) chmodSync(join(root, 'kept', folder), 0o555);
  const files = readdirSync(join(root, 'kept'), { recursive: true }).sort();
  const reader = await openTrace(join(root, 'kept'), { readOnly: true });
  expect(await values(reader, at)).toEqual(['a']);
  expect(await reader.offsetAt(at, 0)).toBe(0);
  await expect(reader.append(at, [rawEntry('b')])).rejects.toMatchObject({ code: 'LOG_READ_ONLY' });
  await expect(reader.createTopic('more', 1)).rejects.toMatchObject({ code: 'LOG_READ_ONLY' });
  await reader.close();
  expect(readdirSync(join(root, 'kept'), { recursive: true }).sort()).toEqual(files);
  for (const folder of ['', 'things', 'things/0']) chmodSync(join(root, 'kept', folder), 0o755);
});

test('names cannot lead out of the folder', async () => {
  const log = await openTrace(join(root, 'names'));
  for (const topic of ['../x', '.state', 'a/b', ''])
    await expect(log.createTopic(topic, 1)).rejects.toMatchObject({ code: 'USAGE' });
  await log.createTopic('things', 1);
  for await (const lease of log.own('../../group', 'things', AbortSignal.timeout(5000))) {
    await lease.commit({ next: 1, outputs: [], snapshots: [] });
    break;
  }
  await log.close();
  expect(readdirSync(join(root, 'names', '.state'))).toEqual(['..%2F..%2Fgroup'.replace(/^\./, '%2E')]);
  expect(readFileSync(join(root, 'names/things/topic.json'), 'utf8')).toContain('"partitions":1');
});
