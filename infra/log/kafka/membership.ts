import type { Consumer, Kafka } from 'kafkajs';
import { Bell } from '../bell.js';
import { kafkaError } from './kafka-errors.js';

const SESSION_TIMEOUT = 10_000;
const HEARTBEAT = 300;
/** ms; also what a rebalance, a pause and leaving take at most. */
const WAIT = 200;

/**
 * Membership in a consumer group for its assignments only: nothing is read through it. A processor that stops answering loses its
 * partitions after SESSION_TIMEOUT.
 */
export class Membership {
  readonly #consumer: Consumer;
  #assigned: ReadonlySet<number> = new Set();
  #failure: unknown = null;
  #beats = 0;
  #joined = 0;
  #version = 0;
  readonly #bell = new Bell();
  #left: Promise<void> | undefined;
  #progress = new Map<number, number>();
  #reporting = false;

  constructor(
    kafka: Kafka,
    readonly groupId: string,
    readonly topic: string,
  ) {
    this.#consumer = kafka.consumer({
      groupId,
      sessionTimeout: SESSION_TIMEOUT,
      rebalanceTimeout: SESSION_TIMEOUT,
      heartbeatInterval: HEARTBEAT,
      maxWaitTimeInMs: WAIT,
      allowAutoTopicCreation: false,
    });
  }

  /** Throws KAFKA_UNREACHABLE or KAFKA_REFUSED. `changed` is called at every new assignment. */
  async join(changed: (assigned: ReadonlySet<number>) => void): Promise<void> {
    const consumer = this.#consumer;
    const { GROUP_JOIN, HEARTBEAT: BEAT, CRASH } = consumer.events;
    consumer.on(GROUP_JOIN, ({ payload }) => {
      consumer.pause([{ topic: this.topic }]);
      this.#assigned = new Set(payload.memberAssignment[this.topic] ?? []);
      this.#joined++;
      changed(this.#assigned);
      this.wake();
    });
    consumer.on(BEAT, () => {
      this.#beats++;
      this.wake();
    });
    consumer.on(CRASH, ({ payload }) => {
      if (payload.restart) return;
      this.#failure = payload.error;
      this.wake();
    });
    try {
      await consumer.connect();
      await consumer.subscribe({ topic: this.topic });
      await consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        eachBatch: async ({ pause }) => void pause(),
      });
    } catch (error) {
      throw kafkaError(error, `joining group ${this.groupId}`);
    }
  }

  get assigned(): ReadonlySet<number> {
    return this.#assigned;
  }
  /** Counts heartbeats that the group's coordinator took: each proves that the assignment was still in force when it was sent. */
  get beats(): number {
    return this.#beats;
  }
  /** Counts assignments. */
  get joined(): number {
    return this.#joined;
  }

  /** Grows with everything that may matter to the owner of leases. */
  get version(): number {
    return this.#version;
  }

  wake(): void {
    this.#version++;
    this.#bell.ring();
  }

  /** Resolves once `version` is beyond `seen`, or when `stop` aborts. Throws if membership ended for good. */
  async changed(seen: number, stop: AbortSignal): Promise<void> {
    while (this.#failure === null && this.#version === seen && !stop.aborted) await this.#bell.wait(stop);
    if (this.#failure !== null) throw kafkaError(this.#failure, `group ${this.groupId}`);
  }

  /** Commits the group's offset for tools that show lag, one request at a time; a failure does not matter. */
  progress(partition: number, next: number): void {
    this.#progress.set(partition, next);
    if (!this.#reporting) void this.#report();
  }

  async #report(): Promise<void> {
    this.#reporting = true;
    while (this.#progress.size > 0 && this.#left === undefined) {
      const offsets = [...this.#progress]
        .filter(([partition]) => this.#assigned.has(partition))
        .map(([partition, next]) => ({ topic: this.topic, partition, offset: String(next) }));
      this.#progress.clear();
      await this.#consumer.commitOffsets(offsets).catch(() => null);
    }
    this.#reporting = false;
  }

  async leave(): Promise<void> {
    this.#left ??= this.#consumer.disconnect().catch(() => undefined);
    await this.#left;
  }
}
