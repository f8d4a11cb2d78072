import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { copyLog } from '../../../infra/log/copy.js';
import type { Entry, EventLog } from '../../../infra/log/event-log.js';
import { memoryLog } from '../../../infra/log/memory-log.js';
import { encodeRecord } from '../../../schemas/codec.js';
import type { Tick } from '../../../schemas/records.js';
import { partitionOf } from '../../../schemas/topics.js';
import { drain, rawEntry } from '../../contract/log-records.js';

const tick = (log: EventLog, number: number): Entry => ({
  key: Buffer.from('controller'),
  schema: log.schemas.current('Tick'),
  value: encodeRecord('Tick', {
    verifierId: Buffer.alloc(32, 1),
    number,
    nonce: Buffer.alloc(32, 2),
    issued: number,
    interval: 1,
    grace: 1,
    k: 1,
    selection: '',
    signature: Buffer.alloc(64),
  }),
});

/** Hosts' records and ticks, laid out over `partitions` as producers and the controller would. */
const sourceOf = async (steps: readonly (number | 'tick')[], partitions: number): Promise<EventLog> => {
  const log = memoryLog();
  await log.createTopic('memory', partitions);
  let ticks = 0;
  for (const [i, step] of steps.entries())
    if (step === 'tick') {
      const entry = tick(log, ++ticks);
      for (let partition = 0; partition < partitions; partition++)
        await log.append({ topic: 'memory', partition }, [entry]);
    } else {
      const host = `host-${step}`;
      const entry = { ...rawEntry(`${host} ${i}`), key: Buffer.from(host), timestamp: 1000 + i };
      await log.append({ topic: 'memory', partition: partitionOf(host, partitions) }, [entry]);
    }
  return log;
};

/** What each host's fold would see: its own records and the ticks, in order. */
const viewOf = async (log: EventLog, host: string, partitions: number): Promise<string[]> => {
  const partition = partitionOf(host, partitions);
  const { end } = (await log.bounds('memory'))[partition]!;
  return (await drain(log, { topic: 'memory', partition }, 0, end)).flatMap(({ key, value, schema }) => {
    if (schema === 'Tick')
      return [`tick ${(log.schemas.at(log.schemas.current('Tick')).decode(value!) as Tick).number}`];
    return key!.toString() === host ? [value!.toString()] : [];
  });
};

describe('copy', () => {
  test('keeps each host in order, ticks included, for any numbers of partitions', async () => {
    const step = fc.oneof({ weight: 4, arbitrary: fc.nat(6) }, { weight: 1, arbitrary: fc.constant('tick' as const) });
    const count = fc.integer({ min: 1, max: 5 });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), count, count, async (steps, here, there) => {
        const from = await sourceOf(steps, here);
        const to = memoryLog();
        await to.createTopic('memory', there);
        const copied = await copyLog(from, to);
        const ticks = steps.filter((s) => s === 'tick').length;
        expect(copied).toEqual({ records: steps.length - ticks + ticks * there, lost: 0 });
        for (let i = 0; i <= 6; i++)
          expect(await viewOf(to, `host-${i}`, there)).toEqual(await viewOf(from, `host-${i}`, here));
      }),
      { numRuns: 150 },
    );
  });

  test('a tick that one partition has lost still passes once, before later ones', async () => {
    const from = memoryLog();
    await from.createTopic('memory', 2);
    for (const [partition, numbers] of [
      [1, 2, 3, 3, 2, 4],
      [2, 4],
    ].entries())
      for (const number of numbers) await from.append({ topic: 'memory', partition }, [tick(from, number)]);
    const to = memoryLog();
    await to.createTopic('memory', 3);
    await copyLog(from, to);
    for (let partition = 0; partition < 3; partition++) {
      const seen = await drain(to, { topic: 'memory', partition }, 0, 100);
      const numbers = seen.map(({ value, schema }) => {
        expect(schema).toBe('Tick');
        return (to.schemas.at(to.schemas.current('Tick')).decode(value!) as Tick).number;
      });
      expect(numbers).toEqual([1, 2, 3, 4]);
    }
  });

  test('creates what is not there, and keeps schemas, headers, timestamps and unknown bytes', async () => {
    const from = memoryLog();
    await from.createTopic('verdicts', 3);
    const at = { topic: 'verdicts', partition: 2 };
    const to = memoryLog();
    // The destination numbers its schemas otherwise.
    to.schemas.add('"string"');
    const schema = from.schemas.add(
      JSON.stringify({ type: 'record', name: 'Far', fields: [{ name: 'n', type: 'long' }] }),
    );
    await from.append(at, [
      { key: Buffer.from('a'), schema, value: Buffer.from([2]), timestamp: 7 },
      {
        key: null,
        schema: -1,
        value: Buffer.from([0, 9, 9]),
        headers: [{ key: 'h', value: Buffer.from('v') }],
        timestamp: 8,
      },
      { key: Buffer.from('b'), schema: -1, value: null, timestamp: 9 },
    ]);
    const progress: number[] = [];
    await copyLog(from, to, { onProgress: (records) => progress.push(records) });
    expect(await drain(to, at, 0, 3)).toEqual(await drain(from, at, 0, 3));
    expect(progress).toEqual([3]);
    expect(await to.bounds('verdicts')).toHaveLength(3);
  });

  test('copies a range of chosen partitions, and no faster than told', async () => {
    const from = await sourceOf(
      Array.from({ length: 60 }, (_, i) => i % 7),
      2,
    );
    const to = memoryLog();
    const began = performance.now();
    const { records } = await copyLog(from, to, {
      topics: ['memory'],
      partitions: [1],
      range: (_, { until }) => ({ from: until - 5, until }),
      rate: 50,
    });
    expect(records).toBe(5);
    expect(performance.now() - began).toBeGreaterThan(80);
    expect((await to.bounds('memory')).map(({ end }) => end)).toEqual([0, 5]);
    const other = memoryLog();
    await other.createTopic('memory', 3);
    await expect(copyLog(from, other, { partitions: [0] })).rejects.toMatchObject({ code: 'USAGE' });
    await expect(copyLog(from, to, { topics: ['absent'] })).rejects.toMatchObject({ code: 'TOPIC_MISSING' });
  });
});
