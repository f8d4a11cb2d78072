import type { Batch, Damage, Header, Partition } from './event-log.js';

/** Largest number of records in one batch. */
export const MAX_BATCH_RECORDS = 16_384;
/** Bytes after which a batch is full; a single larger record makes a batch of its own. */
export const MAX_BATCH_BYTES = 1 << 20;

/** A record as a log without columns of its own keeps it. */
export interface StoredRecord {
  readonly offset: number;
  /** ms */
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly schema: number;
  readonly value: Buffer | null;
  readonly headers: readonly Header[];
}

/** Lays single records out as a batch. `records` are in ascending order of offset. */
export const batchOf = (
  at: Partition,
  records: readonly StoredRecord[],
  next: number,
  damage: readonly Damage[] = [],
): Batch => {
  const length = records.length;
  let size = 0;
  for (const { key, value } of records) size += (key?.length ?? 0) + (value?.length ?? 0);
  const bytes = Buffer.allocUnsafe(size);
  const offsets = new Float64Array(length);
  const timestamps = new Float64Array(length);
  const keys = new Int32Array(2 * length);
  const values = new Int32Array(2 * length);
  const schemas = new Int32Array(length);
  let position = 0;
  const place = (spans: Int32Array, i: number, part: Buffer | null): void => {
    if (part === null) {
      spans[2 * i] = -1;
      spans[2 * i + 1] = -1;
      return;
    }
    spans[2 * i] = position;
    position += part.copy(bytes, position);
    spans[2 * i + 1] = position;
  };
  for (let i = 0; i < length; i++) {
    const record = records[i]!;
    offsets[i] = record.offset;
    timestamps[i] = record.timestamp;
    schemas[i] = record.schema;
    place(keys, i, record.key);
    place(values, i, record.value);
  }
  const headers = (i: number): readonly Header[] => records[i]?.headers ?? [];
  const { topic, partition } = at;
  return { topic, partition, length, next, offsets, timestamps, bytes, keys, values, schemas, headers, damage };
};
