import type { Kafka } from 'kafkajs';
import { SchemaTable } from '../../../schemas/codec.js';
import { AttestreamError } from '../../../schemas/errors.js';
import { DEFAULT_PREFIX } from '../../../schemas/topics.js';
import type { Batch, Bounds, Entry, EventLog, Lease, Partition } from '../event-log.js';
import { Appender } from './appender.js';
import { type ClientOptions, kafkaClient } from './client.js';
import { Cluster, missingTopic, READ_COMMITTED, READ_UNCOMMITTED } from './cluster.js';
import { Leases } from './leases.js';
import { readPartition } from './partition-reader.js';
import { Registry } from './registry.js';
import { RestoredState } from './state.js';
import { toWire } from './to-wire.js';
import { TopicAdmin } from './topic-admin.js';

export interface KafkaOptions extends ClientOptions {
  /** Address of a schema registry with the Confluent API. Needed: values name their schema by its id. */
  readonly registry?: string;
  /** Of topic names in Kafka. */
  readonly prefix?: string;
}

const EARLIEST = -2;
const LATEST = -1;
/** Connections kept for the next reader. */
const IDLE_READERS = 4;

/** ms */
const CONNECT_WITHIN = 6_000;

const within = async <T>(ms: number, work: Promise<T>, name: string): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new AttestreamError('KAFKA_UNREACHABLE', `no broker of ${name} answered within ${ms} ms`);
    timer = setTimeout(() => reject(error), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    work.catch(() => null);
  }
};

/**
 * Opens `kafka://HOST:PORT[,HOST:PORT]` and says within about ten seconds if it cannot: USAGE, KAFKA_UNREACHABLE, KAFKA_UNSUPPORTED,
 * KAFKA_REFUSED, REGISTRY_UNREACHABLE or REGISTRY_REFUSED.
 */
export const openKafka = async (uri: string, options: KafkaOptions = {}): Promise<KafkaLog> => {
  if (options.registry === undefined)
    throw new AttestreamError('USAGE', 'a Kafka log needs a schema registry: add --registry http://HOST:8081');
  const kafka = kafkaClient(uri, options);
  const schemas = new SchemaTable();
  const registry = new Registry(options.registry, schemas);
  const cluster = new Cluster(kafka);
  try {
    await Promise.all([within(CONNECT_WITHIN, cluster.connect(), uri), registry.check()]);
  } catch (error) {
    // A broker that is silent may keep its connection busy for long; nobody waits for that.
    void cluster.close().catch(() => null);
    throw error;
  }
  return new KafkaLog(uri, kafka, cluster, registry, options.prefix ?? DEFAULT_PREFIX);
};

export class KafkaLog implements EventLog {
  readonly #appenders = new Map<string, Appender>();
  readonly #readers: Cluster[] = [];
  readonly #leases = new Set<Leases>();
  readonly #closing = new AbortController();
  readonly #admin: TopicAdmin;

  constructor(
    readonly name: string,
    private readonly kafka: Kafka,
    private readonly cluster: Cluster,
    private readonly registry: Registry,
    private readonly prefix: string,
  ) {
    this.#admin = new TopicAdmin(kafka, cluster);
  }

  get schemas(): SchemaTable {
    return this.registry.schemas;
  }

  async createTopic(topic: string, partitions: number): Promise<void> {
    this.#check();
    await this.#admin.create(this.prefix, topic, partitions);
  }

  async topics(): Promise<readonly string[]> {
    this.#check();
    return await this.#admin.list(this.prefix);
  }

  /** Kafka's settings of a topic; null if it does not exist. */
  async settings(topic: string): Promise<ReadonlyMap<string, string> | null> {
    this.#check();
    const name = this.prefix + topic;
    return (await this.cluster.partitions(name)) === 0 ? null : await this.#admin.settings(name);
  }

  async append(to: Partition, entries: readonly Entry[]): Promise<number> {
    this.#check();
    const appender = this.#appender(to);
    // What is asked first is written first, however long the registry takes; only then may the next one overtake the waiting.
    const { written } = await appender.order.run(async () => {
      await this.#partitions(to);
      const batches = await toWire(appender.topic, entries, this.registry, Date.now());
      return { written: batches.length === 0 ? null : appender.append(batches) };
    });
    return written === null ? (await this.#offsets(to, LATEST, READ_COMMITTED))[0]! : await written;
  }

  #appender({ topic, partition }: Partition): Appender {
    const key = `${topic}/${partition}`;
    const known = this.#appenders.get(key);
    if (known !== undefined) return known;
    const appender = new Appender(this.cluster, this.prefix + topic, partition);
    this.#appenders.set(key, appender);
    return appender;
  }

  async *read(from: Partition, offset: number, until: number | 'follow', stop?: AbortSignal): AsyncGenerator<Batch> {
    this.#check();
    await this.#partitions(from);
    const [first] = await this.#offsets(from, EARLIEST, READ_COMMITTED);
    const end =
      until === 'follow' ? Infinity : Math.min(until, (await this.#offsets(from, LATEST, READ_COMMITTED))[0]!);
    yield* this.#read(from, Math.max(0, offset), Math.max(first!, 0), end, stop);
  }

  /** Up to `end`, for which it waits if need be. What retention has deleted before `first` is told as lost. */
  async *#read(from: Partition, offset: number, first: number, end: number, stop?: AbortSignal): AsyncGenerator<Batch> {
    const { topic, partition } = from;
    if (offset < Math.min(first, end)) yield deleted(from, offset, Math.min(first, end));
    const reader = this.#readers.pop() ?? new Cluster(this.kafka);
    const signals = stop === undefined ? this.#closing.signal : AbortSignal.any([stop, this.#closing.signal]);
    const start = { kafkaTopic: this.prefix + topic, topic, partition, offset: Math.max(offset, first), until: end };
    try {
      await reader.connect();
      yield* readPartition(reader, this.registry, start, signals);
      this.#check();
    } finally {
      if (this.#closing.signal.aborted || this.#readers.length >= IDLE_READERS) await reader.close();
      else this.#readers.push(reader);
    }
  }

  async bounds(topic: string): Promise<readonly Bounds[]> {
    this.#check();
    const kafkaTopic = this.prefix + topic;
    const count = await this.cluster.partitions(kafkaTopic);
    const all = Array.from({ length: count }, (_, partition) => partition);
    const [firsts, ends] = await Promise.all([
      this.cluster.offsets(kafkaTopic, all, EARLIEST, READ_COMMITTED),
      this.cluster.offsets(kafkaTopic, all, LATEST, READ_COMMITTED),
    ]);
    return all.map((partition) => ({ first: firsts[partition]!, end: ends[partition]! }));
  }

  async offsetAt(at: Partition, timestampMs: number): Promise<number> {
    this.#check();
    await this.#partitions(at);
    // Negative times mean beginning and end to the brokers.
    const time = Math.max(0, Math.ceil(timestampMs));
    const [found] = await this.#offsets(at, time, READ_COMMITTED);
    return found! >= 0 ? found! : (await this.#offsets(at, LATEST, READ_COMMITTED))[0]!;
  }

  async *own(group: string, topic: string, stop: AbortSignal): AsyncGenerator<Lease> {
    this.#check();
    if (/[\0/]/.test(group) || group === '')
      throw new AttestreamError(
        'USAGE',
        `${JSON.stringify(group)} is no name of a group: not empty, without NUL and slash`,
      );
    const { cluster, kafka, prefix } = this;
    const kafkaTopic = prefix + topic;
    await cluster.refresh();
    const [sources, states] = [await cluster.partitions(kafkaTopic), await cluster.partitions(`${prefix}state`)];
    if (sources === 0) throw missingTopic(kafkaTopic);
    if (states === 0) throw missingTopic(`${prefix}state`);
    if (states < sources)
      throw new AttestreamError(
        'TOPIC_REPARTITIONED',
        `topic ${prefix}state has ${states} partitions, ${kafkaTopic} has ${sources}: each needs its own`,
      );
    const leases = new Leases({
      kafka,
      cluster,
      group,
      topic,
      kafkaTopic,
      groupId: `${prefix}${group}.${topic}`,
      home: {
        registry: this.registry,
        target: async (to, partition) => {
          await this.#partitions({ topic: to, partition });
          return prefix + to;
        },
        state: async (of, source, partition) => await this.#state(of, source, partition),
        first: async (source, partition) =>
          (await this.#offsets({ topic: source, partition }, EARLIEST, READ_COMMITTED))[0]!,
      },
    });
    this.#leases.add(leases);
    yield* leases.leases(AbortSignal.any([stop, this.#closing.signal]));
    if (leases.idle) this.#leases.delete(leases);
    this.#check();
  }

  /**
   * Reads `state` up to its uncommitted end: another group's open transaction may stand before our last commit and hide it, and
   * what is hidden is waited for, not missed.
   */
  async #state(group: string, topic: string, partition: number): Promise<RestoredState> {
    const state = new RestoredState(this.schemas, group, topic);
    const at = { topic: 'state', partition };
    const [first] = await this.#offsets(at, EARLIEST, READ_COMMITTED);
    const [end] = await this.#offsets(at, LATEST, READ_UNCOMMITTED);
    for await (const batch of this.#read(at, first!, first!, end!)) state.take(batch);
    return state;
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    await Promise.all([...this.#leases].map((leases) => leases.close()));
    await Promise.all([this.#admin.close(), this.cluster.close(), ...this.#readers.map((reader) => reader.close())]);
  }

  #check(): void {
    if (this.#closing.signal.aborted) throw new AttestreamError('LOG_CLOSED', `${this.name} is closed`);
  }

  /** Throws TOPIC_MISSING if there is no such partition. */
  async #partitions({ topic, partition }: Partition): Promise<void> {
    const count = await this.cluster.partitions(this.prefix + topic);
    if (count === 0) throw missingTopic(this.prefix + topic);
    if (partition < 0 || partition >= count)
      throw new AttestreamError(
        'TOPIC_MISSING',
        `topic ${this.prefix}${topic} has ${count} partitions, there is no ${partition}`,
      );
  }

  async #offsets({ topic, partition }: Partition, timestamp: number, isolation: number): Promise<readonly number[]> {
    return await this.cluster.offsets(this.prefix + topic, [partition], timestamp, isolation);
  }
}

const deleted = ({ topic, partition }: Partition, from: number, to: number): Batch => ({
  topic,
  partition,
  length: 0,
  next: to,
  offsets: new Float64Array(0),
  timestamps: new Float64Array(0),
  bytes: Buffer.alloc(0),
  keys: new Int32Array(0),
  values: new Int32Array(0),
  schemas: new Int32Array(0),
  headers: () => [],
  damage: [{ from, to, code: 'LOG_RANGE', message: `offsets [${from}, ${to}) are no longer in the log` }],
});
