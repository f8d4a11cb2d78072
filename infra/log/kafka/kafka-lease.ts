import { encodeRecord } from '../../../schemas/codec.js';
import { AttestreamError, isAttestreamError } from '../../../schemas/errors.js';
import type { MarkerRecord } from '../../../schemas/records.js';
import type { Commit, Entry, Lease, Snapshot } from '../event-log.js';
import type { Registry } from './registry.js';
import { markerKey, type RestoredState, snapshotKey } from './state.js';
import { toWire } from './to-wire.js';
import type { Target, TransactionalProducer } from './transaction.js';

/** What a lease needs of its log. */
export interface LeaseHome {
  readonly registry: Registry;
  /** Name in Kafka of a topic, whose partition `partition` exists. Throws TOPIC_MISSING or LOG_RANGE. */
  target(topic: string, partition: number): Promise<string>;
  /** Everything that was committed about this group and topic by now. */
  state(group: string, topic: string, partition: number): Promise<RestoredState>;
  /** First offset that the source holds. */
  first(topic: string, partition: number): Promise<number>;
  /** For tools that show lag; nothing depends on it. */
  progress(partition: number, next: number): void;
  released(partition: number): Promise<void>;
}

export class KafkaLease implements Lease {
  readonly #lost = new AbortController();
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    readonly group: string,
    readonly topic: string,
    readonly partition: number,
    private readonly producer: TransactionalProducer,
    private readonly home: LeaseHome,
  ) {}

  get generation(): number {
    return this.producer.generation;
  }
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Nothing is committed through it any more. */
  lose(reason: string): void {
    if (!this.#lost.signal.aborted) this.#lost.abort(this.#loss(reason));
  }

  #loss(reason: string): AttestreamError {
    return new AttestreamError('LEASE_LOST', `${this.topic}/${this.partition} of group ${this.group}: ${reason}`);
  }

  async restore(): Promise<{ readonly next: number; readonly snapshots: AsyncIterable<Snapshot> }> {
    const state = await this.home.state(this.group, this.topic, this.partition);
    const next = state.marker?.next ?? (await this.home.first(this.topic, this.partition));
    return { next, snapshots: state.snapshots() };
  }

  async commit(commit: Commit): Promise<void> {
    const mine = this.#last.then(async () => await this.#commit(commit));
    this.#last = mine.catch(() => null);
    await mine;
  }

  async #commit(commit: Commit): Promise<void> {
    const targets = await this.#targets(commit);
    if (this.#lost.signal.aborted) throw this.#lost.signal.reason;
    try {
      await this.producer.commit(targets, targets.slice(0, -1));
    } catch (error) {
      this.lose(isAttestreamError(error, 'LEASE_LOST') ? 'a newer processor owns it' : (error as Error).message);
      throw error;
    }
    this.home.progress(this.partition, commit.next);
  }

  /** Outputs, then state. Everything that can be refused for its content is refused here, before the transaction begins. */
  async #targets({ next, outputs, snapshots }: Commit): Promise<readonly Target[]> {
    const { group, topic, partition, generation } = this;
    const { registry } = this.home;
    const byTopic = new Map<string, Entry[]>();
    for (const { topic: to, entry } of outputs) {
      const list = byTopic.get(to);
      if (list === undefined) byTopic.set(to, [entry]);
      else list.push(entry);
    }
    const counts = Object.fromEntries([...byTopic].map(([to, list]) => [to, list.length]));
    const marker: MarkerRecord = { group, topic, partition, generation, next, outputs: counts };
    const state: Entry[] = snapshots.map(({ key, ...snapshot }) => ({
      key: snapshotKey(group, topic, key),
      ...(snapshot.state === null
        ? { schema: -1, value: null }
        : { schema: registry.schemas.current('Snapshot'), value: encodeRecord('Snapshot', snapshot) }),
    }));
    state.push({
      key: markerKey(group, topic),
      schema: registry.schemas.current('Marker'),
      value: encodeRecord('Marker', marker),
    });
    // Last, and never among the outputs: what is restored is waited for by whoever restores.
    if (byTopic.has('state'))
      throw new AttestreamError('USAGE', 'topic state takes no outputs, it belongs to the commits');
    byTopic.set('state', state);
    const targets: Target[] = [];
    for (const [to, entries] of byTopic) {
      const kafkaTopic = await this.home.target(to, partition);
      const batches = await toWire(kafkaTopic, entries, registry, Date.now());
      targets.push({ topic: kafkaTopic, partition, batches });
    }
    return targets;
  }

  async release(): Promise<void> {
    await this.#last;
    this.lose('it was released');
    await this.home.released(this.partition);
  }
}
