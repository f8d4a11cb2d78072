import type { Kafka } from 'kafkajs';
import { AttestreamError } from '../../../schemas/errors.js';
import { isPassing, kafkaError, protocolError } from './kafka-errors.js';
import type { WireRequest } from './wire.js';

/** A node of the cluster, as kafkajs 2.2 has it inside. Every call throws KafkaJSProtocolError with `type`. */
export interface Broker {
  readonly connectionPool: {
    send<T>(call: {
      request: WireRequest;
      response: { decode(raw: Buffer): Promise<T>; parse(data: T): Promise<T> };
      requestTimeout?: number;
    }): Promise<T>;
  };
  disconnect(): Promise<void>;
  listOffsets(call: {
    isolationLevel: number;
    topics: { topic: string; partitions: { partition: number; timestamp: string }[] }[];
  }): Promise<{ responses: { topic: string; partitions: { partition: number; offset: string }[] }[] }>;
  initProducerId(call: {
    transactionalId?: string;
    transactionTimeout: number;
  }): Promise<{ producerId: string; producerEpoch: number }>;
  addPartitionsToTxn(call: {
    transactionalId: string;
    producerId: string;
    producerEpoch: number;
    topics: { topic: string; partitions: number[] }[];
  }): Promise<unknown>;
  endTxn(call: {
    transactionalId: string;
    producerId: string;
    producerEpoch: number;
    transactionResult: boolean;
  }): Promise<unknown>;
}

interface Inner {
  readonly brokerPool: {
    readonly versions: Readonly<Record<number, { minVersion: number; maxVersion: number }>> | null;
    readonly metadata: { readonly topicMetadata: readonly { topic: string }[] } | null;
  };
  isConnected(): boolean;
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  refreshMetadata(): Promise<void>;
  refreshMetadataIfNecessary(): Promise<void>;
  addMultipleTargetTopics(topics: string[]): Promise<void>;
  findTopicPartitionMetadata(topic: string): { partitionId: number; leader: number }[];
  findBroker(node: { nodeId: string }): Promise<Broker>;
  findControllerBroker(): Promise<Broker>;
  findGroupCoordinator(of: { groupId: string; coordinatorType: number }): Promise<Broker>;
  removeBroker(at: { host: string; port: number }): void;
}

type Create = (options: { allowAutoTopicCreation: boolean; metadataMaxAge: number }) => Inner;

/**
 * kafkajs reads by consumer group only, and its producers hide their epoch. Partition reads from an explicit offset and fenced
 * commits need its connections, so that they are taken from inside; the version is pinned, and a missing part is named here.
 */
const inner = (kafka: Kafka): Inner => {
  const symbol = Object.getOwnPropertySymbols(kafka).find((key) => key.description === 'private:Kafka:createCluster');
  const create = symbol === undefined ? undefined : (kafka as unknown as Record<symbol, Create>)[symbol];
  if (create === undefined)
    throw new AttestreamError(
      'KAFKA_UNSUPPORTED',
      'this kafkajs has no way to its connections; attestream needs 2.2.4',
    );
  return create({ allowAutoTopicCreation: false, metadataMaxAge: 60_000 });
};

/** API keys and the versions that we speak, with the first Kafka release that has them. */
const NEEDED = [
  { key: 0, name: 'Produce', version: 7, since: '2.1' },
  { key: 1, name: 'Fetch', version: 11, since: '2.3' },
  { key: 2, name: 'ListOffsets', version: 2, since: '0.11' },
  { key: 3, name: 'Metadata', version: 4, since: '0.11' },
  { key: 22, name: 'InitProducerId', version: 1, since: '2.0' },
  { key: 24, name: 'AddPartitionsToTxn', version: 1, since: '2.0' },
  { key: 26, name: 'EndTxn', version: 1, since: '2.0' },
] as const;

export const READ_UNCOMMITTED = 0;
export const READ_COMMITTED = 1;
const TRANSACTION_COORDINATOR = 1;

export const missingTopic = (topic: string): AttestreamError =>
  new AttestreamError('TOPIC_MISSING', `topic ${topic} does not exist; create it with \`attestream topics create\``);

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Connections to the brokers, with their leaders and coordinators. */
export class Cluster {
  readonly #inner: Inner;
  readonly #targets = new Set<string>();

  constructor(kafka: Kafka) {
    this.#inner = inner(kafka);
  }

  /** Throws KAFKA_UNREACHABLE or KAFKA_UNSUPPORTED. */
  async connect(): Promise<void> {
    try {
      await this.#inner.connect();
    } catch (error) {
      throw kafkaError(error, 'connecting');
    }
    const { versions } = this.#inner.brokerPool;
    if (versions === null)
      throw new AttestreamError(
        'KAFKA_UNREACHABLE',
        'connecting: what took the connection does not answer as a broker does',
      );
    const missing = NEEDED.filter(({ key, version }) => {
      const offered = versions[key];
      return offered === undefined || offered.maxVersion < version || offered.minVersion > version + 8;
    });
    if (missing.length > 0)
      throw new AttestreamError(
        'KAFKA_UNSUPPORTED',
        `the brokers lack ${missing.map(({ name, version, since }) => `${name} v${version} (Kafka ${since})`).join(', ')}`,
      );
  }

  async close(): Promise<void> {
    await this.#inner.disconnect();
  }

  /** Forgets what is known of topics, so that the next question goes to the brokers. */
  async refresh(): Promise<void> {
    await this.retry('asking for topics', async () => await this.#inner.refreshMetadata());
  }

  /** Number of partitions; 0 if the topic does not exist. Known for a minute at most. */
  async partitions(topic: string): Promise<number> {
    return await this.retry(`asking for ${topic}`, async () => {
      if (!this.#targets.has(topic)) {
        try {
          await this.#inner.addMultipleTargetTopics([topic]);
        } catch (error) {
          if (protocolError(error) === 'UNKNOWN_TOPIC_OR_PARTITION') return 0;
          throw error;
        }
        this.#targets.add(topic);
      } else await this.#inner.refreshMetadataIfNecessary();
      return this.#inner.findTopicPartitionMetadata(topic).length;
    });
  }

  /** Calls `work` with the leader of a partition, again after a refresh while what fails is passing. */
  async leader<T>(
    topic: string,
    partition: number,
    work: (broker: Broker) => Promise<T>,
    patience?: number,
  ): Promise<T> {
    return await this.retry(
      `${topic}/${partition}`,
      async () => {
        const known = await this.partitions(topic);
        if (known === 0) throw missingTopic(topic);
        const [leader] = this.byLeader([{ topic, partition }]).keys();
        return await work(await this.node(leader!));
      },
      patience,
    );
  }

  /** Groups by the leader as last heard of. Throws TOPIC_MISSING for a partition that does not exist. */
  byLeader<P extends { readonly topic: string; readonly partition: number }>(places: readonly P[]): Map<number, P[]> {
    const groups = new Map<number, P[]>();
    for (const place of places) {
      const { topic, partition } = place;
      const known = this.#inner.findTopicPartitionMetadata(topic);
      const found = known.find(({ partitionId }) => partitionId === partition);
      if (found === undefined)
        throw new AttestreamError(
          'TOPIC_MISSING',
          `topic ${topic} has ${known.length} partitions, there is no ${partition}`,
        );
      groups.set(found.leader, [...(groups.get(found.leader) ?? []), place]);
    }
    return groups;
  }

  async node(id: number): Promise<Broker> {
    return await this.#inner.findBroker({ nodeId: String(id) });
  }

  async coordinator<T>(transactionalId: string, work: (broker: Broker) => Promise<T>, patience?: number): Promise<T> {
    return await this.retry(
      `transaction coordinator of ${transactionalId}`,
      async () => {
        await this.#inner.refreshMetadataIfNecessary();
        const found = { groupId: transactionalId, coordinatorType: TRANSACTION_COORDINATOR };
        return await work(await this.#inner.findGroupCoordinator(found));
      },
      patience,
    );
  }

  /** Any broker's answer. */
  async controller<T>(work: (broker: Broker) => Promise<T>): Promise<T> {
    return await this.retry('controller', async () => {
      await this.#inner.refreshMetadataIfNecessary();
      return await work(await this.#inner.findControllerBroker());
    });
  }

  /** `timestamp`: ms, -1 for the end, -2 for the beginning. Offset -1: no record is that new. One request per leader. */
  async offsets(
    topic: string,
    partitions: readonly number[],
    timestamp: number,
    isolationLevel: number,
  ): Promise<readonly number[]> {
    return await this.retry(`offsets of ${topic}`, async () => {
      const found = new Map<number, number>();
      const byLeader = this.byLeader(partitions.map((partition) => ({ topic, partition })));
      const ask = async ([leader, places]: [number, { partition: number }[]]): Promise<void> => {
        const broker = await this.node(leader);
        const asked = places.map(({ partition }) => ({ partition, timestamp: String(timestamp) }));
        const { responses } = await broker.listOffsets({ isolationLevel, topics: [{ topic, partitions: asked }] });
        for (const { partition, offset } of responses[0]?.partitions ?? []) found.set(partition, Number(offset));
      };
      await Promise.all([...byLeader].map(ask));
      return partitions.map((partition) => found.get(partition) ?? -1);
    });
  }

  /** Repeats `work` while what fails is passing, for `patience` ms. */
  async retry<T>(doing: string, work: () => Promise<T>, patience = 20_000): Promise<T> {
    const start = performance.now();
    for (let wait = 2; ; wait = Math.min(wait * 2, 500)) {
      try {
        return await work();
      } catch (error) {
        if (error instanceof AttestreamError) throw error;
        if (!isPassing(error) || performance.now() - start + wait > patience) throw kafkaError(error, doing);
        await pause(wait);
        if (protocolError(error) !== 'CONCURRENT_TRANSACTIONS') await this.#recover(error);
      }
    }
  }

  async #recover(error: unknown): Promise<void> {
    const { host, port } = error as { host?: unknown; port?: unknown };
    if (typeof host === 'string' && typeof port === 'number') this.#inner.removeBroker({ host, port });
    try {
      if (!this.#inner.isConnected()) await this.#inner.connect();
      await this.#inner.refreshMetadata();
    } catch {
      // The next attempt says what is wrong.
    }
  }
}
