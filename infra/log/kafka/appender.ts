import { Mutex } from '../mutex.js';
import type { Cluster } from './cluster.js';
import { isPassing, kafkaError, protocolError } from './kafka-errors.js';
import { produce } from './produce.js';
import { encodeBatch, type ProducerState, recordBytes, type WireRecord } from './record-batch.js';
import { BATCH_BYTES } from './to-wire.js';

interface Waiting {
  /** Shared by the batches of one append: after a failure its later batches must not be written. */
  readonly call: { error?: unknown };
  readonly records: readonly WireRecord[];
  readonly bytes: number;
  resolve(offset: number): void;
  reject(error: unknown): void;
}

const SEQUENCES = 2 ** 31;

/**
 * The idempotent writer of one partition: one request at a time, what arrives meanwhile goes together in the next. A request that
 * failed without an answer is repeated with its sequence number, so that the broker tells a repetition from a new batch. When
 * patience ends, the producer id is given up: its next number might already be taken.
 */
export class Appender {
  /** Held by callers while they prepare, so that the order of calls is the order of records. */
  readonly order = new Mutex();
  readonly #waiting: Waiting[] = [];
  #busy = false;
  #producer: ProducerState | null = null;
  #sequence = 0;

  constructor(
    readonly cluster: Cluster,
    readonly topic: string,
    readonly partition: number,
  ) {}

  /** Batches as `toWire` cut them, written in order. Offset of the first record of the first. */
  async append(batches: readonly (readonly WireRecord[])[]): Promise<number> {
    const call = {};
    const written = batches.map((records) => this.#enqueue(call, records));
    const [first] = await Promise.all(written);
    return first!;
  }

  async #enqueue(call: Waiting['call'], records: readonly WireRecord[]): Promise<number> {
    const bytes = records.reduce((sum, record) => sum + recordBytes(record), 0);
    return await new Promise((resolve, reject) => {
      this.#waiting.push({ call, records, bytes, resolve, reject });
      if (!this.#busy) void this.#drain();
    });
  }

  async #drain(): Promise<void> {
    this.#busy = true;
    while (this.#waiting.length > 0) {
      const together = [this.#waiting.shift()!];
      const { call, reject: refuse } = together[0]!;
      if ('error' in call) {
        refuse(call.error);
        continue;
      }
      let bytes = together[0]!.bytes;
      for (
        let next = this.#waiting[0];
        next !== undefined && bytes + next.bytes <= BATCH_BYTES;
        next = this.#waiting[0]
      ) {
        bytes += next.bytes;
        together.push(this.#waiting.shift()!);
      }
      try {
        let offset = await this.#send(together.flatMap(({ records }) => records));
        for (const { records, resolve } of together) {
          resolve(offset);
          offset += records.length;
        }
      } catch (error) {
        for (const { call: failed, reject } of together) {
          failed.error = error;
          reject(error);
        }
      }
    }
    this.#busy = false;
  }

  async #send(records: readonly WireRecord[]): Promise<number> {
    for (let attempt = 0; ; attempt++) {
      try {
        this.#producer ??= await this.#initialise();
        const batch = encodeBatch(records, this.#producer, this.#sequence);
        const { topic, partition } = this;
        const [offset] = await this.cluster.leader(
          topic,
          partition,
          async (broker) => await produce(broker, null, [{ topic, partition, batch, records: records.length }]),
        );
        this.#sequence = (this.#sequence + records.length) % SEQUENCES;
        return offset!;
      } catch (error) {
        const cause = (error as Error).cause ?? error;
        this.#producer = null;
        // The broker has forgotten this producer, or its id is used up; nothing of this batch was taken.
        const stale = /^(UNKNOWN_PRODUCER_ID|INVALID_PRODUCER_EPOCH|OUT_OF_ORDER_SEQUENCE_NUMBER)$/;
        if (attempt === 0 && !isPassing(cause) && stale.test(protocolError(cause) ?? '')) continue;
        throw kafkaError(error, `appending to ${this.topic}/${this.partition}`);
      }
    }
  }

  async #initialise(): Promise<ProducerState> {
    this.#sequence = 0;
    const { producerId, producerEpoch } = await this.cluster.controller(
      async (broker) => await broker.initProducerId({ transactionTimeout: 10_000 }),
    );
    return { id: BigInt(producerId), epoch: producerEpoch, transactional: false };
  }
}
