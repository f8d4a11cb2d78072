import { AttestreamError } from '../../../schemas/errors.js';
import { type Cluster, READ_COMMITTED } from './cluster.js';
import { isFenced, kafkaError } from './kafka-errors.js';
import { type PartitionBatch, produce } from './produce.js';
import { encodeBatch, type ProducerState, type WireRecord } from './record-batch.js';

/** What a transaction writes into one partition, in batches. */
export interface Target {
  readonly topic: string;
  readonly partition: number;
  readonly batches: readonly (readonly WireRecord[])[];
}

/** The brokers abort a transaction that is not ended within this time, in ms. Until then it holds back the readers of its partitions. */
const TRANSACTION_TIMEOUT = 10_000;
/** How long a commit waits until readers see it, in ms. Beyond, somebody else's open transaction holds them back. */
const VISIBLE_WITHIN = 1000;
const LATEST = -1;
const EPOCHS = 2 ** 15;
const SEQUENCES = 2 ** 31;

/**
 * A producer with a transactional id. The latest one to be opened under an id is the only one that can commit; opening ends what
 * an earlier one had begun.
 */
export class TransactionalProducer {
  readonly #sequences = new Map<string, number>();

  private constructor(
    readonly cluster: Cluster,
    readonly id: string,
    readonly producerId: string,
    readonly epoch: number,
  ) {}

  /** Resolves once every earlier producer is fenced and its open transaction ended. */
  static async open(cluster: Cluster, id: string): Promise<TransactionalProducer> {
    const { producerId, producerEpoch } = await cluster.coordinator(
      id,
      async (broker) => await broker.initProducerId({ transactionalId: id, transactionTimeout: TRANSACTION_TIMEOUT }),
    );
    return new TransactionalProducer(cluster, id, producerId, producerEpoch);
  }

  /** Grows with every opening under the same id. */
  get generation(): number {
    return Number(this.producerId) * EPOCHS + this.epoch;
  }

  /**
   * Writes all targets or none; resolves once readers of the `awaited` ones see it. Throws LEASE_LOST if a newer producer exists;
   * after any other failure the producer is of no more use, and the outcome is what the next reader of its state finds.
   */
  async commit(targets: readonly Target[], awaited: readonly Target[]): Promise<void> {
    const ends = new Map<string, number>();
    try {
      await this.#add(targets);
      for (let round = 0; ; round++) {
        const batches = targets.flatMap((target) => this.#batch(target, round));
        if (batches.length === 0) break;
        for (const [{ topic, partition }, end] of await this.#produce(batches)) ends.set(`${topic}/${partition}`, end);
      }
    } catch (error) {
      await this.#end(false).catch(() => null);
      throw this.#failure(error);
    }
    try {
      await this.#end(true);
    } catch (error) {
      throw this.#failure(error);
    }
    await Promise.all(awaited.map(async (target) => await this.#visible(target, ends)));
  }

  /** The coordinator answers when the outcome is certain; the partitions learn of it a moment later. */
  async #visible({ topic, partition }: Target, ends: ReadonlyMap<string, number>): Promise<void> {
    const end = ends.get(`${topic}/${partition}`) ?? 0;
    const start = performance.now();
    for (let wait = 1; performance.now() - start < VISIBLE_WITHIN; wait = Math.min(wait * 2, 50)) {
      const [stable] = await this.cluster.offsets(topic, [partition], LATEST, READ_COMMITTED).catch(() => [end]);
      if (stable! >= end) return;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  #failure(error: unknown): AttestreamError {
    if (isFenced(error))
      return new AttestreamError('LEASE_LOST', `${this.id} is owned by a newer processor now`, {}, { cause: error });
    return kafkaError(error, `committing as ${this.id}`);
  }

  async #add(targets: readonly Target[]): Promise<void> {
    const byTopic = new Map<string, number[]>();
    for (const { topic, partition } of targets) byTopic.set(topic, [...(byTopic.get(topic) ?? []), partition]);
    const topics = [...byTopic].map(([topic, partitions]) => ({ topic, partitions }));
    const { id: transactionalId, producerId, epoch: producerEpoch } = this;
    await this.cluster.coordinator(
      transactionalId,
      async (broker) => await broker.addPartitionsToTxn({ transactionalId, producerId, producerEpoch, topics }),
    );
  }

  #batch({ topic, partition, batches }: Target, round: number): PartitionBatch[] {
    const records = batches[round];
    if (records === undefined) return [];
    const key = `${topic}/${partition}`;
    const sequence = this.#sequences.get(key) ?? 0;
    this.#sequences.set(key, (sequence + records.length) % SEQUENCES);
    const producer: ProducerState = { id: BigInt(this.producerId), epoch: this.epoch, transactional: true };
    return [{ topic, partition, records: records.length, batch: encodeBatch(records, producer, sequence) }];
  }

  /**
   * One past the last offset of each batch. Repeated as a whole, to whoever leads by then: the sequence numbers keep what arrived
   * before from counting twice.
   */
  async #produce(batches: readonly PartitionBatch[]): Promise<readonly (readonly [PartitionBatch, number])[]> {
    return await this.cluster.retry(`committing as ${this.id}`, async () => {
      const groups = [...this.cluster.byLeader(batches)];
      const sent = groups.map(async ([leader, group]) => {
        const offsets = await produce(await this.cluster.node(leader), this.id, group);
        return group.map((batch, i) => [batch, offsets[i]! + batch.records] as const);
      });
      return (await Promise.all(sent)).flat();
    });
  }

  async #end(commit: boolean): Promise<void> {
    const { id: transactionalId, producerId, epoch: producerEpoch } = this;
    await this.cluster.coordinator(
      transactionalId,
      async (broker) => await broker.endTxn({ transactionalId, producerId, producerEpoch, transactionResult: commit }),
    );
  }
}
