import { decodeRecord, encodeRecord, SchemaTable } from '../../schemas/codec.js';
import { AttestreamError } from '../../schemas/errors.js';
import { batchOf, MAX_BATCH_BYTES, MAX_BATCH_RECORDS, type StoredRecord } from './batch.js';
import { Bell } from './bell.js';
import type { Batch, Bounds, Commit, Entry, EventLog, Lease, OwnOptions, Partition, Snapshot } from './event-log.js';
import { headersOf } from './record-type.js';

/** What one group knows of one partition. */
interface Progress {
  generation: number;
  next: number;
  /** Newest snapshot by key (latin1), encoded: the log must not share memory with the fold. */
  readonly snapshots: Map<string, Buffer>;
  holder: MemoryLease | null;
}

/** A record on its way into a partition. */
interface Prepared {
  readonly records: StoredRecord[];
  readonly record: Omit<StoredRecord, 'offset'>;
}

const copyOf = (bytes: Buffer | null): Buffer | null => (bytes === null ? null : Buffer.from(bytes));

/** The log in this process: the twin of the trace folder for tests, demos and simulations. Nothing is kept after `close`. */
export const memoryLog = (name = 'memory', clock: () => number = Date.now): EventLog => new MemoryLog(name, clock);

class MemoryLog implements EventLog {
  readonly schemas = new SchemaTable();
  readonly #topics = new Map<string, StoredRecord[][]>();
  readonly #progress = new Map<string, Progress>();
  readonly #bell = new Bell();
  #closed = false;

  constructor(
    readonly name: string,
    private readonly clock: () => number,
  ) {}

  async createTopic(topic: string, partitions: number): Promise<void> {
    this.check();
    if (!Number.isInteger(partitions) || partitions < 1)
      throw new AttestreamError('USAGE', `a topic has at least one partition, not ${partitions}`);
    const known = this.#topics.get(topic);
    if (known === undefined)
      this.#topics.set(
        topic,
        Array.from({ length: partitions }, () => []),
      );
    else if (known.length !== partitions)
      throw new AttestreamError(
        'TOPIC_REPARTITIONED',
        `topic ${topic} has ${known.length} partitions, not ${partitions}`,
        { path: topic },
      );
  }

  async topics(): Promise<readonly string[]> {
    this.check();
    return [...this.#topics.keys()].sort();
  }

  async append(to: Partition, entries: readonly Entry[]): Promise<number> {
    this.check();
    const first = this.records(to).length;
    this.publish(entries.map((entry) => this.prepare(to, entry)));
    return first;
  }

  /** Everything that can fail about an entry, before anything is visible. */
  prepare(to: Partition, entry: Entry): Prepared {
    const headers = headersOf(entry, this.schemas).map(({ key, value }) => ({ key, value: copyOf(value) }));
    return {
      records: this.records(to),
      record: {
        timestamp: entry.timestamp ?? this.clock(),
        key: copyOf(entry.key),
        schema: entry.schema,
        value: copyOf(entry.value),
        headers,
      },
    };
  }

  publish(prepared: readonly Prepared[]): void {
    for (const { records, record } of prepared) records.push({ ...record, offset: records.length });
    this.#bell.ring();
  }

  async *read(from: Partition, offset: number, until: number | 'follow', stop?: AbortSignal): AsyncGenerator<Batch> {
    const records = this.records(from);
    let next = Math.max(0, offset);
    while (stop?.aborted !== true) {
      this.check();
      const end = until === 'follow' ? records.length : Math.min(until, records.length);
      if (next < end) {
        const chosen: StoredRecord[] = [];
        let size = 0;
        while (next < end && chosen.length < MAX_BATCH_RECORDS && size < MAX_BATCH_BYTES) {
          const record = records[next++]!;
          size += (record.key?.length ?? 0) + (record.value?.length ?? 0);
          chosen.push(record);
        }
        yield batchOf(from, chosen, next);
      } else if (until === 'follow') await this.#bell.wait(stop);
      else return;
    }
  }

  async bounds(topic: string): Promise<readonly Bounds[]> {
    this.check();
    return (this.#topics.get(topic) ?? []).map((records) => ({ first: 0, end: records.length }));
  }

  async offsetAt(at: Partition, timestampMs: number): Promise<number> {
    this.check();
    const records = this.records(at);
    const found = records.find((record) => record.timestamp >= timestampMs);
    return found?.offset ?? records.length;
  }

  async *own(group: string, topic: string, stop: AbortSignal, options?: OwnOptions): AsyncGenerator<Lease> {
    this.check();
    const partitions = this.#topics.get(topic);
    if (partitions === undefined) throw missing({ topic, partition: 0 });
    for (let partition = 0; partition < partitions.length; partition++) {
      if (stop.aborted) return;
      this.check();
      if (options?.only !== undefined && !options.only.includes(partition)) continue;
      yield this.#lease(group, { topic, partition });
    }
    while (!stop.aborted) {
      await this.#bell.wait(stop);
      this.check();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const { holder } of this.#progress.values()) holder?.lose();
    this.#bell.ring();
  }

  check(): void {
    if (this.#closed) throw new AttestreamError('LOG_CLOSED', `the log ${this.name} is closed`, { path: this.name });
  }

  records(at: Partition): StoredRecord[] {
    const records = this.#topics.get(at.topic)?.[at.partition];
    if (records === undefined) throw missing(at);
    return records;
  }

  #lease(group: string, at: Partition): MemoryLease {
    const id = JSON.stringify([group, at.topic, at.partition]);
    const progress = this.#progress.get(id) ?? { generation: 0, next: 0, snapshots: new Map(), holder: null };
    this.#progress.set(id, progress);
    progress.holder?.lose();
    progress.generation++;
    const lease = new MemoryLease(this, group, at, progress);
    progress.holder = lease;
    return lease;
  }
}

class MemoryLease implements Lease {
  readonly topic: string;
  readonly partition: number;
  readonly generation: number;
  readonly #lost = new AbortController();

  constructor(
    private readonly log: MemoryLog,
    readonly group: string,
    at: Partition,
    private readonly progress: Progress,
  ) {
    this.topic = at.topic;
    this.partition = at.partition;
    this.generation = progress.generation;
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  lose(): void {
    this.#lost.abort();
  }

  async restore(): Promise<{ readonly next: number; readonly snapshots: AsyncIterable<Snapshot> }> {
    this.#check();
    const kept = [...this.progress.snapshots];
    const snapshots = async function* (): AsyncGenerator<Snapshot> {
      for (const [key, body] of kept) yield { key: Buffer.from(key, 'latin1'), ...decodeRecord('Snapshot', body) };
    };
    return { next: this.progress.next, snapshots: snapshots() };
  }

  async commit({ next, outputs, snapshots }: Commit): Promise<void> {
    this.log.check();
    this.#check();
    const encoded = snapshots.map((snapshot) => encodeRecord('Snapshot', snapshot));
    const prepared = outputs.map(({ topic, entry }) => this.log.prepare({ topic, partition: this.partition }, entry));
    // From here to the end nothing awaits and nothing can fail: readers see all of it or none.
    this.log.publish(prepared);
    snapshots.forEach(({ key, state }, i) => {
      const id = key.toString('latin1');
      if (state === null) this.progress.snapshots.delete(id);
      else this.progress.snapshots.set(id, encoded[i]!);
    });
    this.progress.next = next;
  }

  async release(): Promise<void> {
    if (this.progress.holder === this) this.progress.holder = null;
    this.lose();
  }

  #check(): void {
    if (this.progress.holder !== this)
      throw new AttestreamError(
        'LEASE_LOST',
        `${this.group} holds ${this.topic}/${this.partition} by a newer generation than ${this.generation}`,
        { path: `${this.topic}/${this.partition}` },
      );
  }
}

const missing = ({ topic, partition }: Partition): AttestreamError =>
  new AttestreamError('TOPIC_MISSING', `there is no partition ${topic}/${partition}`, {
    path: `${topic}/${partition}`,
  });
