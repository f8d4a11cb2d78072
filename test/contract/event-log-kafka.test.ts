import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Batch, Entry, EventLog, Lease } from '../../infra/log/event-log.js';
import { openKafka } from '../../infra/log/kafka/kafka-log.js';
import { encodeRecord } from '../../schemas/codec.js';
import type { SnapshotRecord } from '../../schemas/records.js';
import { kafkaParts, withKafka } from '../support/kafka.js';

const gapEntry = (log: EventLog, host: string, seq: number): Entry => ({
  key: Buffer.from(host),
  schema: log.schemas.current('Gap'),
  value: encodeRecord('Gap', {
    stream: Buffer.alloc(32, 1),
    seq,
    at: 1_700_000_000_000_000 + seq,
    notBefore: 0,
    process: '1:1',
    reason: 'test',
    lost: seq,
  }),
});

const snapshot = (state: string | null): SnapshotRecord => ({
  fold: 'test@1',
  clock: 1,
  lastAt: 0,
  issued: -1,
  state: state === null ? null : Buffer.from(state),
  timers: [],
  seen: [],
  digest: Buffer.alloc(0),
  conclusions: Buffer.alloc(0),
});

const collect = async (batches: AsyncIterable<Batch>, log: EventLog): Promise<{ offset: number; seq: number }[]> => {
  const out: { offset: number; seq: number }[] = [];
  for await (const batch of batches)
    for (let i = 0; i < batch.length; i++) {
      const body = batch.bytes.subarray(batch.values[2 * i], batch.values[2 * i + 1]);
      const record = log.schemas.at(batch.schemas[i]!).decode(body) as { seq: number };
      out.push({ offset: batch.offsets[i]!, seq: record.seq });
    }
  return out;
};

withKafka('a Kafka log', () => {
  const parts = kafkaParts();
  let log: EventLog;
  const open = async (): Promise<EventLog> => await openKafka(parts.broker.uri, { registry: parts.registry.url });
  beforeAll(async () => {
    log = await open();
    await log.createTopic('memory', 2);
    await log.createTopic('verdicts', 2);
    await log.createTopic('state', 2);
  });
  afterAll(async () => {
    await log?.close();
  });

  test('appends and reads back', async () => {
    const entries = Array.from({ length: 5000 }, (_, i) => gapEntry(log, `h${i % 7}`, i));
    expect(await log.append({ topic: 'memory', partition: 1 }, entries)).toBe(0);
    expect(await log.append({ topic: 'memory', partition: 1 }, entries.slice(0, 3))).toBe(5000);
    const read = await collect(log.read({ topic: 'memory', partition: 1 }, 10, 5002), log);
    expect(read.length).toBe(4992);
    expect(read[0]).toEqual({ offset: 10, seq: 10 });
    expect(read[4991]).toEqual({ offset: 5001, seq: 1 });
    expect(await log.bounds('memory')).toEqual([
      { first: 0, end: 0 },
      { first: 0, end: 5003 },
    ]);
  });

  test('owns, commits, restores', async () => {
    const stop = new AbortController();
    const leases: Lease[] = [];
    for await (const lease of log.own('g', 'memory', stop.signal)) {
      leases.push(lease);
      if (leases.length === 2) break;
    }
    const lease = leases.find(({ partition }) => partition === 1)!;
    const { next } = await lease.restore();
    expect(next).toBe(0);
    const out = { topic: 'verdicts', entry: gapEntry(log, 'h', 1) };
    const t = performance.now();
    for (let i = 1; i <= 20; i++)
      await lease.commit({ next: i, outputs: [out], snapshots: [{ key: Buffer.from('h'), ...snapshot(`s${i}`) }] });
    console.log('commit ms', (performance.now() - t) / 20);
    const again = await lease.restore();
    expect(again.next).toBe(20);
    for await (const s of again.snapshots) console.log(s.key.toString(), s.state!.toString());
    for (const l of leases) await l.release();
    expect((await collect(log.read({ topic: 'verdicts', partition: 1 }, 0, 1000), log)).length).toBe(20);
    console.log(await log.bounds('verdicts'));
  });

  test('figures', async () => {
    const entries = Array.from({ length: 1000 }, (_, i) => ({
      ...gapEntry(log, `h${i % 7}`, i),
      value: gapEntry(log, 'x'.repeat(3), i).value,
    }));
    let t = performance.now();
    for (let i = 0; i < 300; i++) await log.append({ topic: 'memory', partition: 0 }, entries);
    console.log('append/s', (300_000 / (performance.now() - t)) * 1000);
    t = performance.now();
    let n = 0;
    for await (const batch of log.read({ topic: 'memory', partition: 0 }, 0, 300_000)) n += batch.length;
    console.log('read/s', (n / (performance.now() - t)) * 1000);
    expect(n).toBe(300_000);
  });
});
