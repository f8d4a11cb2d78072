import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import type { EventLog } from '../../../infra/log/event-log.js';
import { memoryLog } from '../../../infra/log/memory-log.js';
import { typedRecords } from '../../../infra/log/typed-records.js';
import { Measurements } from '../../../producers/measurement/measurements.js';
import { PublishedFile } from '../../../producers/measurement/published.js';
import { EventStream } from '../../../producers/stream/event-stream.js';
import { temporaryFolder } from '../../support/tmp.js';

const folder = temporaryFolder('measurements');
const u32 = (value: number): Buffer => Buffer.from(Uint32Array.of(value).buffer);
const sized = (bytes: Buffer): Buffer => Buffer.concat([u32(bytes.length), bytes]);
const record = (n: number): Buffer =>
  Buffer.concat([u32(10), Buffer.alloc(20, 1), sized(Buffer.from('ima-ng')), sized(Buffer.from(`data ${n}`))]);
const list = join(folder, 'list');
const firmware = join(folder, 'firmware');
writeFileSync(list, Buffer.concat(Array.from({ length: 1200 }, (_, n) => record(n))));
writeFileSync(firmware, Buffer.alloc(600_000, 5));

const told = async (log: EventLog, name: 'ListEntry' | 'FirmwareLog') => {
  const found = [];
  const { end } = (await log.bounds('measurements'))[0]!;
  for await (const one of typedRecords(log, { topic: 'measurements', partition: 0 }, [name], 0, end))
    found.push(one.record);
  return found as { readonly index: number; readonly of?: number; readonly data: Buffer }[];
};

const open = async (published = { list: 0, firmware: false }) => {
  const log = memoryLog();
  const events = await EventStream.open({
    log,
    topic: 'measurements',
    stream: Buffer.alloc(32),
    host: 'ab',
    partitions: 1,
  });
  const all = { boot: 'b', log: 'l', heads: [], ...published };
  const measurements = Measurements.open({
    events,
    now: () => 1,
    imaList: list,
    firmwareLog: firmware,
    published: all,
  });
  return { log, events, measurements };
};

test('tells each record of a list once, and again only what is asked for', async () => {
  const { log, events, measurements } = await open();
  expect(await measurements.catchUp()).toBe(1200);
  expect(await measurements.catchUp()).toBe(1200);
  await events.flush();
  const entries = await told(log, 'ListEntry');
  expect(entries.map(({ index }) => index)).toEqual(Array.from({ length: 1200 }, (_, n) => n));
  expect(entries[77]?.data.toString()).toBe('data 77');
  await measurements.again(1190);
  await events.flush();
  expect((await told(log, 'ListEntry')).slice(1200).map(({ index }) => index)).toEqual([
    ...[1190, 1191, 1192, 1193, 1194, 1195, 1196, 1197, 1198, 1199],
  ]);
  expect(measurements.newest.at(-1)?.data.toString()).toBe('data 1199');
  measurements.close();
});

test('goes on where an earlier agent of this boot was', async () => {
  const { log, events, measurements } = await open({ list: 1197, firmware: true });
  expect(await measurements.catchUp()).toBe(1200);
  measurements.firmware();
  await events.flush();
  expect((await told(log, 'ListEntry')).map(({ index }) => index)).toEqual([1197, 1198, 1199]);
  expect(await told(log, 'FirmwareLog')).toEqual([]);
  measurements.firmware(true);
  await events.flush();
  const parts = await told(log, 'FirmwareLog');
  expect(parts.map(({ index, of, data }) => [index, of, data.length])).toEqual([
    [0, 3, 262_144],
    [1, 3, 262_144],
    [2, 3, 75_712],
  ]);
  measurements.close();
});

test('what was told is remembered for this boot and this log, and forgotten where it is damaged', () => {
  const state = join(folder, 'state');
  const file = new PublishedFile(state);
  const published = {
    boot: 'one',
    log: 'here',
    list: 7,
    firmware: true,
    heads: [{ topic: 'measurements', seq: 1, head: 'ab' }],
  };
  expect(file.read('one', 'here').list).toBe(0);
  expect(file.write(published)).toBe(true);
  expect(file.read('one', 'here')).toEqual(published);
  expect(file.read('two', 'here').list).toBe(0);
  expect(file.read('one', 'there').list).toBe(0);
  writeFileSync(join(state, readdirSync(state)[0]!), '{"boot":"one","log":"here","list":-1}');
  expect(file.read('one', 'here').list).toBe(0);
  mkdirSync(join(folder, 'file-in-the-way'));
  writeFileSync(join(folder, 'file-in-the-way/x'), '');
  expect(new PublishedFile(join(folder, 'file-in-the-way/x')).write(published)).toBe(false);
});
