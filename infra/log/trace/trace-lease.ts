import { join } from 'node:path';
import { AttestreamError } from '../../../schemas/errors.js';
import type { Commit, Entry, Lease, Output, Partition, Snapshot } from '../event-log.js';
import type { Mutex } from '../mutex.js';
import { type CommitRecord, readCommit, writeCommit } from './commit-record.js';
import type { DataWriter } from './data-writer.js';
import type { FileLock } from './flock.js';
import { COMMIT_FILE } from './layout.js';
import type { PartitionWriter } from './partition-writer.js';
import { type SnapshotPlace, SnapshotStore, type SnapshotStoreOptions } from './snapshot-store.js';

export interface TraceLeaseOptions {
  readonly group: string;
  readonly at: Partition;
  /** Where the group's knowledge of the partition is kept. */
  readonly folder: string;
  /** Held for as long as any lease of this process on the partition. */
  readonly lock: FileLock;
  /** Serialises all that leases of this partition do. */
  readonly mutex: Mutex;
  readonly snapshots: SnapshotStoreOptions;
  readonly check: () => void;
  /** First offset of the source partition. */
  readonly first: () => Promise<number>;
  readonly writer: (at: Partition) => PartitionWriter;
  readonly changed: (at: Partition) => void;
  /** Called once, when the lease gives the lock back. */
  readonly released: (lease: TraceLease) => void;
}

/** Ownership of one partition in a folder: the lock keeps other processes out, the generation keeps out older leases of this one. */
export class TraceLease implements Lease {
  readonly topic: string;
  readonly partition: number;
  readonly group: string;
  readonly #lost = new AbortController();
  readonly #store: SnapshotStore;
  #record: CommitRecord;

  private constructor(
    readonly options: TraceLeaseOptions,
    record: CommitRecord,
  ) {
    this.group = options.group;
    this.topic = options.at.topic;
    this.partition = options.at.partition;
    this.#record = record;
    this.#store = new SnapshotStore(options.snapshots, record.snapshots);
  }

  /** Takes ownership, durably, with a generation above every earlier one. The lock is held already. */
  static async take(options: TraceLeaseOptions): Promise<TraceLease> {
    const path = join(options.folder, COMMIT_FILE);
    const last = readCommit(path) ?? { generation: 0, next: -1, ends: {}, snapshots: { epoch: 0, end: 0 } };
    const record = { ...last, generation: last.generation + 1 };
    await writeCommit(path, record);
    return new TraceLease(options, record);
  }

  get generation(): number {
    return this.#record.generation;
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  lose(): void {
    this.#lost.abort();
  }

  async restore(): Promise<{ readonly next: number; readonly snapshots: AsyncIterable<Snapshot> }> {
    this.#checkHeld();
    const { next } = this.#record;
    return { next: next < 0 ? await this.options.first() : next, snapshots: this.#store.restore() };
  }

  commit(commit: Commit): Promise<void> {
    return this.options.mutex.run(async () => {
      this.#checkHeld();
      const byTopic = groupByTopic(commit.outputs);
      // Sorted, so that no two commits wait for each other.
      await this.#write([...byTopic.keys()].sort(), byTopic, commit, []);
      for (const topic of byTopic.keys()) this.options.changed({ topic, partition: this.partition });
    });
  }

  async release(): Promise<void> {
    await this.options.mutex.run(async () => {
      this.lose();
      this.#store.forget();
      this.options.released(this);
    });
  }

  /** Takes the output partitions one within the other, then commits while all of them are held. */
  async #write(
    topics: readonly string[],
    byTopic: ReadonlyMap<string, readonly Entry[]>,
    commit: Commit,
    held: readonly { readonly topic: string; readonly data: DataWriter }[],
  ): Promise<void> {
    const topic = topics[held.length];
    if (topic === undefined) return this.#finish(byTopic, commit, held);
    const writer = this.options.writer({ topic, partition: this.partition });
    await writer.locked(async (data) => {
      await writer.govern(data);
      await this.#write(topics, byTopic, commit, [...held, { topic, data }]);
    });
  }

  async #finish(
    byTopic: ReadonlyMap<string, readonly Entry[]>,
    { next, snapshots }: Commit,
    held: readonly { readonly topic: string; readonly data: DataWriter }[],
  ): Promise<void> {
    try {
      const ends: Record<string, number> = { ...this.#record.ends };
      for (const { topic, data } of held) {
        data.write(byTopic.get(topic)!);
        ends[topic] = data.next;
      }
      // All of them end before one's failure is told: files must not be closed under a sync.
      const [stored, ...synced] = await Promise.allSettled([
        this.#store.write(snapshots),
        ...held.map(({ data }) => data.sync()),
      ]);
      for (const result of [stored, ...synced]) if (result.status === 'rejected') throw result.reason;
      const place = (stored as PromiseFulfilledResult<SnapshotPlace>).value;
      this.#checkHeld();
      const record = { ...this.#record, next, ends, snapshots: place };
      await this.#mark(record);
      this.#store.settle(place);
      this.#record = record;
    } catch (error) {
      this.#store.forget();
      throw error;
    }
  }

  /** If the mark fails nobody can tell whether it counts: this lease must not go on. */
  async #mark(record: CommitRecord): Promise<void> {
    try {
      await writeCommit(join(this.options.folder, COMMIT_FILE), record);
    } catch (error) {
      this.lose();
      throw error;
    }
  }

  #checkHeld(): void {
    this.options.check();
    if (this.#lost.signal.aborted)
      throw new AttestreamError(
        'LEASE_LOST',
        `generation ${this.generation} of ${this.group} does not own ${this.topic}/${this.partition} any more`,
        { path: `${this.topic}/${this.partition}` },
      );
  }
}

const groupByTopic = (outputs: readonly Output[]): Map<string, Entry[]> => {
  const byTopic = new Map<string, Entry[]>();
  for (const { topic, entry } of outputs) {
    const entries = byTopic.get(topic);
    if (entries === undefined) byTopic.set(topic, [entry]);
    else entries.push(entry);
  }
  return byTopic;
};
