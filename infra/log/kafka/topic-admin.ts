import kafkajs, { type Admin, type Kafka } from 'kafkajs';
import { AttestreamError } from '../../../schemas/errors.js';
import { TOPICS, type Topic } from '../../../schemas/topics.js';
import type { Cluster } from './cluster.js';
import { kafkaError, protocolError } from './kafka-errors.js';
import { MAX_RECORD_BYTES } from './to-wire.js';

/**
 * What a topic of ours is created with. LogAppendTime, because with the producers' times a replayed old trace would be deleted at
 * once; kept for ever unless the operator says otherwise.
 */
export const topicSettings = (topic: string): Readonly<Record<string, string>> => {
  const known: Topic | undefined = TOPICS.find(({ name }) => name === topic);
  const cleanup = known?.cleanup ?? 'delete';
  return {
    'message.timestamp.type': 'LogAppendTime',
    'cleanup.policy': cleanup,
    'max.message.bytes': String(MAX_RECORD_BYTES + 1024),
    ...(cleanup === 'delete' ? { 'retention.ms': '-1', 'retention.bytes': '-1' } : {}),
  };
};

/** How long a new topic may take to be known to the brokers, in ms. */
const SETTLE = 10_000;

/** Creates and lists topics; connected when first needed. */
export class TopicAdmin {
  #admin: Promise<Admin> | undefined;

  constructor(
    readonly kafka: Kafka,
    readonly cluster: Cluster,
  ) {}

  async admin(): Promise<Admin> {
    if (this.#admin === undefined) {
      const admin = this.kafka.admin();
      this.#admin = admin.connect().then(() => admin);
      this.#admin.catch(() => {
        this.#admin = undefined;
      });
    }
    return await this.#admin;
  }

  async close(): Promise<void> {
    await this.#admin?.then((admin) => admin.disconnect()).catch(() => null);
  }

  /** Throws TOPIC_REPARTITIONED if the topic exists with another number of partitions. */
  async create(prefix: string, topic: string, partitions: number): Promise<void> {
    if (!Number.isInteger(partitions) || partitions < 1)
      throw new AttestreamError('USAGE', `a topic has at least one partition, not ${partitions}`);
    const name = prefix + topic;
    const configEntries = Object.entries(topicSettings(topic)).map(([key, value]) => ({ name: key, value }));
    const wanted = { topic: name, numPartitions: partitions, replicationFactor: -1, configEntries };
    try {
      const admin = await this.admin();
      await admin.createTopics({ topics: [wanted], waitForLeaders: false });
    } catch (error) {
      if (protocolError(error) !== 'TOPIC_ALREADY_EXISTS') throw kafkaError(reasonOf(error), `creating topic ${name}`);
    }
    const found = await this.#settled(name);
    if (found !== partitions)
      throw new AttestreamError('TOPIC_REPARTITIONED', `topic ${name} has ${found} partitions, not ${partitions}`, {
        path: name,
      });
  }

  async #settled(name: string): Promise<number> {
    const start = performance.now();
    for (;;) {
      await this.cluster.refresh();
      const found = await this.cluster.partitions(name);
      if (found > 0 || performance.now() - start > SETTLE) return found;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Settings in force of a topic (name with prefix). */
  async settings(name: string): Promise<ReadonlyMap<string, string>> {
    try {
      const admin = await this.admin();
      const resource = { type: kafkajs.ConfigResourceTypes.TOPIC, name };
      const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [resource] });
      const entries = resources[0]?.configEntries ?? [];
      return new Map(entries.map(({ configName, configValue }) => [configName, configValue]));
    } catch (error) {
      throw kafkaError(error, `asking for the settings of ${name}`);
    }
  }

  /** Without prefix, sorted. */
  async list(prefix: string): Promise<readonly string[]> {
    try {
      const admin = await this.admin();
      const names = await admin.listTopics();
      return names
        .filter((name) => name.startsWith(prefix) && !name.startsWith('__'))
        .map((name) => name.slice(prefix.length))
        .sort();
    } catch (error) {
      throw kafkaError(error, 'listing topics');
    }
  }
}

/** Of several topics' failures, the one that says why. */
const reasonOf = (error: unknown): unknown => {
  const { errors } = error as { errors?: readonly unknown[] };
  return errors?.[0] ?? error;
};
