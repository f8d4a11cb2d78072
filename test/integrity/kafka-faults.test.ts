import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import kafkajs, { type Kafka } from 'kafkajs';
import { checkTopics, createTopics } from '../../infra/kafka/topics.js';
import type { EventLog } from '../../infra/log/event-log.js';
import { kafkaClient } from '../../infra/log/kafka/client.js';
import { openKafka } from '../../infra/log/kafka/kafka-log.js';
import { TOPICS } from '../../schemas/topics.js';
import { kafkaParts, withKafka } from '../support/kafka.js';
import { collect, gap } from '../support/kafka-records.js';

const everything = Number.MAX_SAFE_INTEGER;

describe('opening a Kafka log that cannot be opened', () => {
  test('says which argument is wrong', async () => {
    for (const uri of ['kafka://', 'kafka://host', 'kafka://host:0', 'kafka://a:1,', 'http://a:1'])
      await expect(openKafka(uri, { registry: 'http://127.0.0.1:1' })).rejects.toMatchObject({ code: 'USAGE' });
    await expect(openKafka('kafka://127.0.0.1:1')).rejects.toThrow('--registry http://');
    await expect(openKafka('kafka://127.0.0.1:1', { registry: 'nonsense' })).rejects.toMatchObject({ code: 'USAGE' });
  });

  test('tells a broker that refuses connections, and one that never answers, within ten seconds', async () => {
    const registry = createServer((socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}'));
    const silent = createServer(() => {});
    for (const server of [registry, silent]) await once(server.listen(0, '127.0.0.1'), 'listening');
    const port = (server: typeof silent): number => (server.address() as { port: number }).port;
    const options = { registry: `http://127.0.0.1:${port(registry)}` };
    const start = performance.now();
    await Promise.all(
      [1, port(silent)].map((at) =>
        expect(openKafka(`kafka://127.0.0.1:${at}`, options)).rejects.toMatchObject({ code: 'KAFKA_UNREACHABLE' }),
      ),
    );
    expect(performance.now() - start).toBeLessThan(10_000);
    registry.close();
    silent.close();
  });
});

withKafka('a Kafka log among faults', () => {
  const parts = kafkaParts();
  let log: EventLog;
  let client: Kafka;
  let topics = 0;
  const made = async (): Promise<{ topic: string; partition: number }> => {
    const topic = `faults-${topics++}`;
    await log.createTopic(topic, 1);
    return { topic, partition: 0 };
  };
  const foreign = async (topic: string, messages: kafkajs.Message[], compression = 0): Promise<void> => {
    const producer = client.producer({ createPartitioner: () => () => 0 });
    await producer.connect();
    await producer.send({ topic: `attestream.${topic}`, messages, compression });
    await producer.disconnect();
  };
  beforeAll(async () => {
    client = kafkaClient(parts.broker.uri, {});
    log = await openKafka(parts.broker.uri, { registry: parts.registry.url });
  });
  afterAll(async () => {
    await log?.close();
  });

  test('a registry that is not there, or no registry, is named', async () => {
    await expect(openKafka(parts.broker.uri, { registry: 'http://127.0.0.1:1' })).rejects.toMatchObject({
      code: 'REGISTRY_UNREACHABLE',
    });
    const wrong = parts.registry.url.replace('ccompat', 'nonsense');
    await expect(openKafka(parts.broker.uri, { registry: wrong })).rejects.toMatchObject({ code: 'REGISTRY_REFUSED' });
  });

  test('a schema that breaks compatibility is refused before anything is written', async () => {
    const at = await made();
    await log.append(at, [gap(log, 1)]);
    const schema = JSON.parse(log.schemas.at(log.schemas.current('Gap')).json) as { fields: { name: string }[] };
    schema.fields = [...schema.fields.slice(0, -1), { name: 'other', type: 'string' } as { name: string }];
    const incompatible = log.schemas.add(JSON.stringify(schema));
    const entry = { key: null, schema: incompatible, value: Buffer.alloc(3) };
    await expect(log.append(at, [entry])).rejects.toMatchObject({ code: 'REGISTRY_REFUSED' });
    expect((await log.bounds(at.topic))[0]).toEqual({ first: 0, end: 1 });
  });

  test('values of other producers come through: unknown ids and raw bytes as they are', async () => {
    const at = await made();
    const unknown = Buffer.from([0, 0x7f, 0, 0, 1, 42]);
    await foreign(at.topic, [{ value: unknown }, { value: 'text' }, { value: null }]);
    await log.append(at, [{ key: null, schema: -1, value: unknown }, gap(log, 5)]);
    const seen: [number, string | null][] = [];
    for await (const batch of log.read(at, 0, everything))
      for (let i = 0; i < batch.length; i++) {
        const [start, end] = [batch.values[2 * i]!, batch.values[2 * i + 1]!];
        seen.push([batch.schemas[i]!, start < 0 ? null : batch.bytes.toString('hex', start, end)]);
      }
    const text = Buffer.from('text').toString('hex');
    const hex = unknown.toString('hex');
    expect(seen.slice(0, 4)).toEqual([
      [-1, hex],
      [-1, text],
      [-1, null],
      [-1, hex],
    ]);
    expect(seen[4]![0]).toBe(log.schemas.current('Gap'));
  });

  test('a batch that would inflate beyond bounds is told as damage, and reading goes on behind it', async () => {
    const at = await made();
    await log.append(at, [gap(log, 1)]);
    const bomb = Buffer.alloc(23 * 1024 * 1024);
    await foreign(at.topic, [{ value: bomb }, { value: bomb }, { value: bomb }], kafkajs.CompressionTypes.GZIP);
    await log.append(at, [gap(log, 2)]);
    const { numbers, damage } = await collect(log, log.read(at, 0, everything));
    expect(numbers).toEqual([1, 2]);
    expect(damage).toEqual([{ from: 1, to: 4, code: 'RECORD_INVALID', message: expect.stringContaining('gzip') }]);
  });

  test('what retention has deleted is told when somebody asks for it', async () => {
    const at = await made();
    await log.append(
      at,
      [1, 2, 3].map((seq) => gap(log, seq)),
    );
    const admin = client.admin();
    await admin.connect();
    // kafkajs deletes only from topics that it has been asked about before.
    await admin.fetchTopicOffsets(`attestream.${at.topic}`);
    const upTo = [{ partition: 0, offset: '2' }];
    await admin.deleteTopicRecords({ topic: `attestream.${at.topic}`, partitions: upTo });
    await admin.disconnect();
    expect(await collect(log, log.read(at, 0, everything))).toEqual({
      numbers: [3],
      damage: [{ from: 0, to: 2, code: 'LOG_RANGE', message: expect.any(String) }],
    });
    await expect(collect(log, log.read(at, 100, 'follow'))).rejects.toMatchObject({ code: 'LOG_RANGE' });
  });

  test('topics are created as they must be, and what differs is found', async () => {
    await createTopics(log, 2);
    await createTopics(log, 2);
    expect(await checkTopics(log, 2)).toEqual([]);
    expect((await checkTopics(log, 3)).map(({ topic }) => topic)).toEqual(TOPICS.map(({ name }) => name));
    const admin = client.admin();
    await admin.connect();
    const entries = [
      { name: 'cleanup.policy', value: 'delete' },
      { name: 'message.timestamp.type', value: 'CreateTime' },
    ];
    const resource = { type: kafkajs.ConfigResourceTypes.TOPIC, name: 'attestream.state', configEntries: entries };
    await admin.alterConfigs({ validateOnly: false, resources: [resource] });
    await admin.disconnect();
    const findings = await checkTopics(log);
    expect(findings.map(({ topic }) => topic)).toEqual(['state', 'state', 'state']);
    expect(findings.map(({ finding }) => finding.split(' ')[0])).toEqual([
      'message.timestamp.type',
      'cleanup.policy',
      'max.message.bytes',
    ]);
    const other = await openKafka(parts.broker.uri, { registry: parts.registry.url, prefix: 'nobody.' });
    expect((await checkTopics(other)).every(({ finding }) => finding.startsWith('does not exist'))).toBe(true);
    await other.close();
  });

  test('a killed broker costs no record and doubles none, and a follower goes on', async () => {
    const at = await made();
    const stop = new AbortController();
    const following: number[] = [];
    const follower = (async () => {
      for await (const batch of log.read(at, 0, 'follow', stop.signal))
        for (let i = 0; i < batch.length; i++) following.push(batch.offsets[i]!);
    })();
    const appended: Promise<number>[] = [];
    let stopAppending = false;
    const appending = (async () => {
      for (let seq = 0; !stopAppending; seq++) {
        appended.push(log.append(at, [gap(log, seq)]));
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })();
    await new Promise((resolve) => setTimeout(resolve, 300));
    await parts.broker.kill();
    await parts.broker.start();
    await new Promise((resolve) => setTimeout(resolve, 300));
    stopAppending = true;
    await appending;
    const offsets = await Promise.all(appended);
    // The first that is not where it should be says more than two long lists.
    expect(offsets.findIndex((offset, i) => offset !== i)).toBe(-1);
    const { numbers } = await collect(log, log.read(at, 0, everything));
    expect(numbers).toHaveLength(offsets.length);
    expect(numbers.findIndex((number, i) => number !== i)).toBe(-1);
    while (following.length < numbers.length) await new Promise((resolve) => setTimeout(resolve, 20));
    stop.abort();
    await follower;
    expect(following.findIndex((offset, i) => offset !== i)).toBe(-1);
  });

  test('a closed log says so, and lets its followers go', async () => {
    const at = await made();
    const other = await openKafka(parts.broker.uri, { registry: parts.registry.url });
    const following = collect(other, other.read(at, 0, 'follow'));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await Promise.all([other.close(), expect(following).rejects.toMatchObject({ code: 'LOG_CLOSED' })]);
    await expect(other.append(at, [gap(other, 1)])).rejects.toMatchObject({ code: 'LOG_CLOSED' });
  });
});
