import type { SchemaTable } from '../../schemas/codec.js';
import type { SnapshotRecord } from '../../schemas/records.js';

export interface Partition {
  /** Without prefix. */
  readonly topic: string;
  readonly partition: number;
}

export interface Header {
  readonly key: string;
  readonly value: Buffer | null;
}

/** A record to be written. */
export interface Entry {
  readonly key: Buffer | null;
  /** Index of the writer schema in the log's table; -1: `value` is raw bytes. */
  readonly schema: number;
  /** The Avro body, without any header; null is a tombstone. */
  readonly value: Buffer | null;
  /** `type` (the record's name) is added by the log where `schema` is not -1 and it is absent. */
  readonly headers?: readonly Header[];
  /** ms; the log's own clock if absent. Kept by `copy` where the log allows it. */
  readonly timestamp?: number;
}

/** A run of one partition's records. Views die at the next batch: copy what you keep. */
export interface Batch extends Partition {
  readonly length: number;
  /** Where reading goes on; may exceed last offset + 1 (transactions, compaction, damage skipped). */
  readonly next: number;
  readonly offsets: Float64Array;
  /** ms, as the log stamped them. */
  readonly timestamps: Float64Array;
  /** Every key and value lies in here. */
  readonly bytes: Buffer;
  /** [start, end) pairs; start -1 = null. */
  readonly keys: Int32Array;
  /** [start, end) pairs of the Avro body (raw bytes where the schema is unknown); start -1 = null. */
  readonly values: Int32Array;
  /** Index into the log's schema table; -1 = unknown or raw. */
  readonly schemas: Int32Array;
  headers(i: number): readonly Header[];
  /** Offsets that cannot be read any more: damaged blocks, undecodable fetches. Empty as a rule. */
  readonly damage: readonly Damage[];
}

/** Offsets [from, to) that are lost, and why. */
export interface Damage {
  readonly from: number;
  readonly to: number;
  readonly code: 'TRACE_CORRUPT' | 'TRACE_TORN' | 'RECORD_INVALID' | 'LOG_RANGE';
  readonly message: string;
}

export interface Output {
  /** Topic without prefix; the partition is the lease's own. */
  readonly topic: string;
  readonly entry: Entry;
}

/** All that is known of one key at a commit. The key is unique within a lease (group, topic, partition). */
export interface Snapshot extends SnapshotRecord {
  readonly key: Buffer;
}

export interface Commit {
  /** Offset of the source partition at which reading goes on. */
  readonly next: number;
  readonly outputs: readonly Output[];
  readonly snapshots: readonly Snapshot[];
}

/** Ownership of one partition of a source topic by one group. At most one lease per partition can commit. */
export interface Lease extends Partition {
  readonly group: string;
  readonly generation: number;
  readonly lost: AbortSignal;
  /** The last commit's `next` (0 or the log's first offset if there was none) and the newest snapshot of each key. */
  restore(): Promise<{ readonly next: number; readonly snapshots: AsyncIterable<Snapshot> }>;
  /** All of it becomes visible, or none. Throws LEASE_LOST if a newer generation exists. */
  commit(commit: Commit): Promise<void>;
  /** Gives the partition back. */
  release(): Promise<void>;
}

export interface Bounds {
  readonly first: number;
  /** One past the last committed record. */
  readonly end: number;
  /** Bytes behind the last whole block of a folder's newest file: a writer was interrupted, or is at it. Absent: none. */
  readonly torn?: number;
}

/** kafka, trace and memory pass one contract suite, crash points included. */
export interface EventLog {
  /** URI or folder, for messages. */
  readonly name: string;
  readonly schemas: SchemaTable;
  /** Creates the topic if absent. Throws TOPIC_REPARTITIONED if it exists with another number of partitions. */
  createTopic(topic: string, partitions: number): Promise<void>;
  /** Topics that exist, without prefix, sorted. */
  topics(): Promise<readonly string[]>;
  /** First offset given, once it survives this process (trace: written; Kafka: acks −1). Throws TOPIC_MISSING. */
  append(to: Partition, entries: readonly Entry[]): Promise<number>;
  /**
   * Pull is back-pressure: no more than one batch is read ahead. Ends at `until`, or follows.
   * Outputs of leases appear only once committed.
   */
  read(from: Partition, offset: number, until: number | 'follow', stop?: AbortSignal): AsyncIterable<Batch>;
  /** One entry per partition; empty array if the topic does not exist. */
  bounds(topic: string): Promise<readonly Bounds[]>;
  /** Offset of the first record stamped at or after `timestampMs`; the end if there is none. */
  offsetAt(at: Partition, timestampMs: number): Promise<number>;
  /**
   * Each partition assigned to this member, until `stop` aborts.
   * `only` restricts a folder's or memory's leases to these partitions (a worker's share); Kafka assigns by group and ignores it.
   * A folder waits for partitions that another process holds, without end, unless `patience` (ms) says otherwise: then LOG_LOCKED.
   */
  own(group: string, topic: string, stop: AbortSignal, options?: OwnOptions): AsyncIterable<Lease>;
  close(): Promise<void>;
}

export interface OwnOptions {
  readonly only?: readonly number[];
  readonly patience?: number;
}
