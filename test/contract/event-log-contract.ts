import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { EventLog } from '../../infra/log/event-log.js';
import { encodeRecord } from '../../schemas/codec.js';
import { type ContractContext, leaseContract } from './event-log-lease-contract.js';
import { drain, fresh, rawEntry } from './log-records.js';

/** A log to be held to the contract. */
export interface LogUnderTest {
  readonly log: EventLog;
  /** The same data through a client that knows nothing yet, as after a restart. Closes what was open before, where that matters. */
  reopen(): Promise<EventLog>;
  dispose(): Promise<void>;
  /** A second owner of a partition within one log takes it at once (folder, memory), or waits for a rebalance. */
  readonly secondOwner: 'steals' | 'waits';
  /** Whether `only` restricts leases. */
  readonly honoursOnly: boolean;
}

/** What every event log must do; one suite for memory, folder and Kafka. */
export const eventLogContract = (name: string, makeLog: () => Promise<LogUnderTest>): void => {
  describe(`event log: ${name}`, () => {
    const context = { under: null } as { under: LogUnderTest | null };
    beforeAll(async () => {
      context.under = await makeLog();
    });
    afterAll(async () => {
      await context.under?.dispose();
    });
    recordContract(context);
    leaseContract(context);
  });
};

const foreignSchema = JSON.stringify({
  type: 'record',
  name: 'elsewhere.Thing',
  fields: [{ name: 'n', type: 'long' }],
});

const recordContract = (context: ContractContext): void => {
  const log = (): EventLog => context.under!.log;
  const made = async (partitions = 1): Promise<string> => {
    const topic = fresh('records');
    await log().createTopic(topic, partitions);
    return topic;
  };

  test('keeps keys, values, headers and schemas as they were given', async () => {
    const topic = await made();
    const at = { topic, partition: 0 };
    const policy = encodeRecord('Policy', { digest: 'sha256:00', document: '{}' });
    const foreign = log().schemas.add(foreignSchema);
    const given = [
      { key: Buffer.from('host'), schema: log().schemas.current('Policy'), value: policy },
      { key: null, schema: foreign, value: Buffer.from([2]) },
      { key: Buffer.from([0xff, 0]), schema: -1, value: Buffer.from([7, 8, 9]) },
      { key: Buffer.from('gone'), schema: -1, value: null },
      {
        key: Buffer.alloc(0),
        schema: log().schemas.current('Policy'),
        value: policy,
        headers: [
          { key: 'type', value: Buffer.from('Own') },
          { key: 'empty', value: Buffer.alloc(0) },
          { key: 'none', value: null },
        ],
      },
    ];
    await log().append(at, given);
    const [{ end } = { end: 0 }] = await log().bounds(topic);
    const seen = await drain(log(), at, 0, end);
    expect(seen.map(({ key, value }) => [key?.toString('hex') ?? null, value?.toString('hex') ?? null])).toEqual(
      given.map(({ key, value }) => [key?.toString('hex') ?? null, value?.toString('hex') ?? null]),
    );
    expect(seen.map(({ schema }) => schema)).toEqual(['Policy', 'elsewhere.Thing', null, null, 'Policy']);
    const type = (i: number): string | undefined =>
      seen[i]!.headers.find((header) => header.key === 'type')?.value?.toString();
    expect([0, 1, 2, 3, 4].map(type)).toEqual(['Policy', 'elsewhere.Thing', undefined, undefined, 'Own']);
    expect(seen[4]!.headers.map(({ key, value }) => [key, value?.length ?? null])).toEqual([
      ['type', 3],
      ['empty', 0],
      ['none', null],
    ]);
    expect(seen.every(({ timestamp }) => timestamp > 1.6e12)).toBe(true);
  });

  test('keeps each partition in the order of appends and answers the first offset', async () => {
    const topic = await made(2);
    const at = { topic, partition: 1 };
    const a = await log().append(at, [rawEntry('1'), rawEntry('2')]);
    const b = await log().append(at, [rawEntry('3')]);
    await log().append({ topic, partition: 0 }, [rawEntry('other')]);
    const bounds = await log().bounds(topic);
    const seen = await drain(log(), at, bounds[1]!.first, bounds[1]!.end);
    expect(seen.map(({ value }) => value!.toString())).toEqual(['1', '2', '3']);
    expect(seen[0]!.offset).toBe(a);
    expect(seen[2]!.offset).toBe(b);
    expect(b).toBeGreaterThan(seen[1]!.offset);
    expect(bounds[1]!.end).toBeGreaterThan(b);
  });

  test('reads from an offset, and ends before `until`', async () => {
    const topic = await made();
    const at = { topic, partition: 0 };
    for (let i = 0; i < 3; i++) await log().append(at, [rawEntry(`${2 * i}`), rawEntry(`${2 * i + 1}`)]);
    const all = await drain(log(), at, 0, (await log().bounds(topic))[0]!.end);
    for (let from = 0; from < 6; from++)
      for (let to = from; to < 6; to++) {
        const seen = await drain(log(), at, all[from]!.offset, all[to]!.offset);
        expect(seen.map(({ value }) => value!.toString())).toEqual(
          all.slice(from, to).map(({ value }) => value!.toString()),
        );
      }
  });

  test('cuts much into batches that join', async () => {
    const topic = await made();
    const at = { topic, partition: 0 };
    const big = 'x'.repeat(1000);
    for (let i = 0; i < 4; i++)
      await log().append(
        at,
        Array.from({ length: 1000 }, (_, j) => rawEntry(`${1000 * i + j} ${big}`)),
      );
    let count = 0;
    let next = 0;
    for await (const batch of log().read(at, 0, (await log().bounds(topic))[0]!.end)) {
      expect(batch.bytes.length).toBeLessThan(16 << 20);
      for (let i = 0; i < batch.length; i++) {
        const value = batch.bytes.toString('latin1', batch.values[2 * i], batch.values[2 * i + 1]);
        expect(batch.offsets[i]).toBeGreaterThanOrEqual(next);
        next = batch.offsets[i]! + 1;
        expect(value.startsWith(`${count} `)).toBe(true);
        count++;
      }
      expect(batch.next).toBeGreaterThanOrEqual(next);
      next = batch.next;
    }
    expect(count).toBe(4000);
  });

  test('follows what is appended later, and ends when told to', async () => {
    const topic = await made();
    const at = { topic, partition: 0 };
    const stop = new AbortController();
    const seen: string[] = [];
    const reading = (async () => {
      for await (const batch of log().read(at, 0, 'follow', stop.signal))
        for (let i = 0; i < batch.length; i++) {
          seen.push(batch.bytes.toString('latin1', batch.values[2 * i], batch.values[2 * i + 1]));
          if (seen.length === 3) stop.abort();
        }
    })();
    await log().append(at, [rawEntry('a')]);
    await new Promise((resolve) => setTimeout(resolve, 30));
    await log().append(at, [rawEntry('b'), rawEntry('c')]);
    await reading;
    expect(seen).toEqual(['a', 'b', 'c']);
  });

  test('lets a follower of an idle partition go', async () => {
    const topic = await made();
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 30);
    for await (const batch of log().read({ topic, partition: 0 }, 0, 'follow', stop.signal))
      expect(batch.length).toBe(0);
    expect(stop.signal.aborted).toBe(true);
  });

  test('names the topics that exist, and refuses those that do not', async () => {
    const topic = await made(3);
    expect(await log().topics()).toContain(topic);
    await log().createTopic(topic, 3);
    await expect(log().createTopic(topic, 4)).rejects.toMatchObject({ code: 'TOPIC_REPARTITIONED' });
    expect(await log().bounds(topic)).toHaveLength(3);
    expect((await log().bounds(topic)).every(({ first, end }) => first === end)).toBe(true);
    const absent = fresh('absent');
    expect(await log().bounds(absent)).toEqual([]);
    await expect(log().append({ topic: absent, partition: 0 }, [rawEntry('x')])).rejects.toMatchObject({
      code: 'TOPIC_MISSING',
    });
    expect(await log().topics()).not.toContain(absent);
  });

  test('finds offsets by time', async () => {
    const topic = await made();
    const at = { topic, partition: 0 };
    for (let i = 0; i < 4; i++) {
      await log().append(at, [rawEntry(`${i}`)]);
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
    const { end } = (await log().bounds(topic))[0]!;
    const seen = await drain(log(), at, 0, end);
    for (const { timestamp } of seen) {
      const first = seen.find((record) => record.timestamp >= timestamp)!;
      expect(await log().offsetAt(at, timestamp)).toBe(first.offset);
    }
    expect(await log().offsetAt(at, 0)).toBe(seen[0]!.offset);
    expect(await log().offsetAt(at, seen.at(-1)!.timestamp + 1)).toBe(end);
  });

  test('has everything after a restart', async () => {
    const topic = await made();
    const at = { topic, partition: 0 };
    await log().append(at, [rawEntry('before')]);
    const again = await context.under!.reopen();
    await again.append(at, [rawEntry('after')]);
    const seen = await drain(again, at, 0, (await again.bounds(topic))[0]!.end);
    expect(seen.map(({ value }) => value!.toString())).toEqual(['before', 'after']);
  });
};
