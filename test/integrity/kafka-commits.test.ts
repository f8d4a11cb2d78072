import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { SchemaRegistry } from '@kafkajs/confluent-schema-registry';
import type kafkajs from 'kafkajs';
import type { Kafka, Transaction } from 'kafkajs';
import type { Commit, EventLog } from '../../infra/log/event-log.js';
import { kafkaClient } from '../../infra/log/kafka/client.js';
import { Cluster } from '../../infra/log/kafka/cluster.js';
import { openKafka } from '../../infra/log/kafka/kafka-log.js';
import { TransactionalProducer } from '../../infra/log/kafka/transaction.js';
import { kafkaParts, withKafka } from '../support/kafka.js';
import { collect, gap, leasesOf, restored, snapshot } from '../support/kafka-records.js';

withKafka('commits to Kafka', () => {
  const parts = kafkaParts();
  const logs: EventLog[] = [];
  let client: Kafka;
  let tests = 0;

  /** Logs under a prefix of the test's own, with one partition unless told otherwise. */
  const open = async (prefix: string): Promise<EventLog> => {
    const log = await openKafka(parts.broker.uri, { registry: parts.registry.url, prefix });
    logs.push(log);
    return log;
  };
  const fresh = async (partitions = 1): Promise<{ log: EventLog; prefix: string }> => {
    const prefix = `t${tests++}.`;
    const log = await open(prefix);
    for (const topic of ['memory', 'verdicts', 'state']) await log.createTopic(topic, partitions);
    return { log, prefix };
  };
  const commit = (log: EventLog, next: number, number: number, state = `s${number}`): Commit => ({
    next,
    outputs: [{ topic: 'verdicts', entry: gap(log, number) }],
    snapshots: [snapshot('host', state)],
  });
  const verdicts = async (log: EventLog): Promise<number[]> =>
    (await collect(log, log.read({ topic: 'verdicts', partition: 0 }, 0, Number.MAX_SAFE_INTEGER))).numbers;

  beforeAll(() => {
    client = kafkaClient(parts.broker.uri, {});
  });
  afterAll(async () => {
    await Promise.all(logs.map((log) => log.close()));
  });

  test('a processor that was overtaken cannot commit, and gets its partition again only by a new lease', async () => {
    const { log, prefix } = await fresh();
    const owner = leasesOf(log, 'g', 'memory');
    const stale = await owner.next();
    await stale.commit(commit(log, 10, 1));

    const cluster = new Cluster(client);
    await cluster.connect();
    const newer = await TransactionalProducer.open(cluster, `${prefix}g.memory.0`);
    expect(newer.generation).toBeGreaterThan(stale.generation);
    await expect(stale.commit(commit(log, 20, 2))).rejects.toMatchObject({ code: 'LEASE_LOST' });
    expect(stale.lost.aborted).toBe(true);
    await expect(stale.commit(commit(log, 20, 3))).rejects.toMatchObject({ code: 'LEASE_LOST' });
    expect(await verdicts(log)).toEqual([1]);

    const again = await owner.next();
    expect(again.generation).toBeGreaterThan(newer.generation);
    expect(await restored(again)).toEqual({ next: 10, states: { host: 's1' } });
    await again.commit(commit(log, 20, 2));
    expect(await verdicts(log)).toEqual([1, 2]);
    await owner.stop();
    await cluster.close();
  });

  test('what a crashed processor had begun is never seen, neither its outputs nor its state', async () => {
    const { log, prefix } = await fresh();
    const before = leasesOf(log, 'g', 'memory');
    const lease = await before.next();
    await lease.commit({ ...commit(log, 10, 1), snapshots: [snapshot('host', 'kept'), snapshot('gone', 'x')] });
    await lease.commit({ next: 11, outputs: [], snapshots: [snapshot('gone', null)] });
    const { end: stateEnd } = (await log.bounds('state'))[0]!;
    // The crashed one repeats the newest state records as if they were of a later commit.
    const producer = client.producer({
      transactionalId: `${prefix}g.memory.0`,
      idempotent: true,
      maxInFlightRequests: 1,
    });
    await producer.connect();
    const transaction = await producer.transaction();
    const copy = { key: 'g\0memory\0\x01host', value: null, partition: 0 };
    await transaction.send({ topic: `${prefix}state`, messages: [copy] });
    await transaction.send({ topic: `${prefix}verdicts`, messages: [{ key: 'host', value: 'half', partition: 0 }] });
    await producer.disconnect();

    const after = leasesOf(await open(prefix), 'g', 'memory');
    await before.stop();
    const recovered = await after.next();
    expect(await restored(recovered)).toEqual({ next: 11, states: { host: 'kept' } });
    expect(await verdicts(log)).toEqual([1]);
    // The aborted records and the markers take up offsets: reading to the end must end nevertheless.
    const [bounds] = await log.bounds('verdicts');
    expect(bounds!.end).toBeGreaterThan(2);
    expect((await log.bounds('state'))[0]!.end).toBeGreaterThan(stateEnd);
    expect(
      (await collect(log, log.read({ topic: 'verdicts', partition: 0 }, bounds!.end - 1, bounds!.end))).numbers,
    ).toEqual([]);
    await after.stop();
  });

  test('a commit that stands behind the open transaction of another group is waited for, not missed', async () => {
    const { log, prefix } = await fresh();
    const owner = leasesOf(log, 'g', 'memory');
    const lease = await owner.next();
    const producer = client.producer({ transactionalId: `${prefix}other`, idempotent: true, maxInFlightRequests: 1 });
    await producer.connect();
    const open: Transaction = await producer.transaction();
    await open.send({ topic: `${prefix}state`, messages: [{ key: 'other\0memory\0\x00', value: 'x', partition: 0 }] });
    await lease.commit(commit(log, 10, 1));
    let ended = false;
    const state = restored(lease).then((found) => {
      expect(ended).toBe(true);
      return found;
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    ended = true;
    await open.abort();
    expect(await state).toEqual({ next: 10, states: { host: 's1' } });
    await producer.disconnect();
    await owner.stop();
  });

  test('partitions move between members, and each moves only once its former owner is fenced', async () => {
    const { log, prefix } = await fresh(2);
    const first = leasesOf(log, 'g', 'memory');
    const mine = [await first.next(), await first.next()];
    for (const lease of mine)
      await lease.commit({ next: 5, outputs: [], snapshots: [snapshot('host', `of ${lease.partition}`)] });
    const second = leasesOf(await open(prefix), 'g', 'memory');
    const taken = await second.next();
    expect(await restored(taken)).toEqual({ next: 5, states: { host: `of ${taken.partition}` } });
    const lost = mine.find(({ partition }) => partition === taken.partition)!;
    const kept = mine.find(({ partition }) => partition !== taken.partition)!;
    await expect(lost.commit({ next: 6, outputs: [], snapshots: [] })).rejects.toMatchObject({ code: 'LEASE_LOST' });
    expect(lost.lost.aborted).toBe(true);
    await kept.commit({ next: 7, outputs: [], snapshots: [] });
    expect(kept.lost.aborted).toBe(false);
    await taken.commit({ next: 8, outputs: [], snapshots: [] });
    await second.stop();
    const back = await first.next();
    expect(back.partition).toBe(taken.partition);
    expect((await back.restore()).next).toBe(8);
    await first.stop();
  });

  test('two groups and two topics share the state partitions without mixing', async () => {
    const { log } = await fresh();
    const owners = [leasesOf(log, 'g', 'memory'), leasesOf(log, 'g', 'verdicts'), leasesOf(log, 'gg', 'memory')];
    const leases = await Promise.all(owners.map((owner) => owner.next()));
    for (const [i, lease] of leases.entries())
      await lease.commit({
        next: i + 1,
        outputs: [],
        snapshots: [snapshot('host', `state ${i}`), snapshot('', `empty ${i}`)],
      });
    for (const [i, lease] of leases.entries())
      expect(await restored(lease)).toEqual({ next: i + 1, states: { host: `state ${i}`, '': `empty ${i}` } });
    await Promise.all(owners.map((owner) => owner.stop()));
  });

  test('large commits come whole: more than one batch, snapshots of megabytes', async () => {
    const { log } = await fresh();
    const owner = leasesOf(log, 'g', 'memory');
    const lease = await owner.next();
    const outputs = Array.from({ length: 12_000 }, (_, i) => ({ topic: 'verdicts', entry: gap(log, i) }));
    const snapshots = [
      snapshot('a', 'a'.repeat(3_000_000)),
      snapshot('b', 'b'.repeat(700_000)),
      snapshot('c', 'c'.repeat(700_000)),
    ];
    await lease.commit({ next: 1, outputs, snapshots });
    expect(await verdicts(log)).toEqual(outputs.map((_, i) => i));
    const { states } = await restored(lease);
    expect(Object.values(states).map(({ length }) => length)).toEqual([3_000_000, 700_000, 700_000]);
    const tooLarge = snapshot('d', 'd'.repeat(9_000_000));
    await expect(lease.commit({ next: 2, outputs: [], snapshots: [tooLarge] })).rejects.toMatchObject({
      code: 'RECORD_INVALID',
    });
    expect(lease.lost.aborted).toBe(false);
    await lease.commit({ next: 3, outputs: [], snapshots: [] });
    await owner.stop();
  });

  test('progress is told to the group for tools that show lag', async () => {
    const { log, prefix } = await fresh();
    const owner = leasesOf(log, 'g', 'memory');
    const lease = await owner.next();
    await lease.commit(commit(log, 42, 1));
    const admin = client.admin();
    await admin.connect();
    const offset = async (): Promise<string | undefined> => {
      const [of] = await admin.fetchOffsets({ groupId: `${prefix}g.memory`, topics: [`${prefix}memory`] });
      return of?.partitions[0]?.offset;
    };
    while ((await offset()) !== '42') await new Promise((resolve) => setTimeout(resolve, 20));
    await admin.disconnect();
    await owner.stop();
  });

  describe('other tools', () => {
    test('a plain consumer with the registry decodes what was committed, and only that', async () => {
      const { log, prefix } = await fresh();
      const owner = leasesOf(log, 'g', 'memory');
      const lease = await owner.next();
      await lease.commit(commit(log, 1, 7));
      const registry = new SchemaRegistry({ host: parts.registry.url });
      const consumer = client.consumer({ groupId: `${prefix}plain`, maxWaitTimeInMs: 200 });
      await consumer.connect();
      await consumer.subscribe({ topic: `${prefix}verdicts`, fromBeginning: true });
      const message = await new Promise<kafkajs.KafkaMessage>((resolve) => {
        void consumer.run({ eachMessage: async ({ message: found }) => resolve(found) });
      });
      expect(message.headers?.['type']?.toString()).toBe('Gap');
      expect(await registry.decode(message.value!)).toMatchObject({ seq: 7, reason: 'test' });
      const id = await registry.getRegistryIdBySchema(`${prefix}verdicts-io.attestream.Gap`, {
        type: 'AVRO' as never,
        schema: log.schemas.at(log.schemas.current('Gap')).json,
      });
      expect(id).toBe(message.value!.readInt32BE(1));
      await consumer.disconnect();
      await owner.stop();
    });
  });
});
