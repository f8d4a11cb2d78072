import type { RowTable } from '../../infra/clickhouse/tables.js';
import { AttestreamError } from '../../schemas/errors.js';
import type { RecordName } from '../../schemas/records.js';
import type { AvroSource } from './avro-source.js';
import type { RowBinary } from './row-binary.js';

/** What every row carries besides its record: where it came from, its dense number, and when its chunk was cut. */
export class Coordinates {
  readonly #place: Uint8Array;
  offset = 0;
  /** Number of the record's first row. */
  row = 0;
  /** µs */
  ingestedAt = 0;

  constructor(topic: string, partition: number) {
    const place = Buffer.alloc(Buffer.byteLength(topic) + 5);
    // Topic names are ours and shorter than 128 bytes: their count is one byte.
    place[0] = place.length - 5;
    place.write(topic, 1);
    place.writeUInt32LE(partition, place.length - 4);
    this.#place = place;
  }

  write(to: RowBinary, ordinal: number): void {
    to.raw(this.#place, 0, this.#place.length);
    to.i64(this.offset);
    to.u32(ordinal);
    to.i64(this.row + ordinal);
    to.i64(this.ingestedAt);
  }
}

/** Host of a record: its key, as bytes of a batch. */
export interface Key {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** Makes the rows of one table from the records of one topic. */
export interface RowBuilder {
  readonly topic: string;
  readonly table: RowTable;
  /** In the order in which values are written. */
  readonly columns: readonly string[];
  readonly record: RecordName;
  /** Nothing else belongs into the topic: what is not of `record` becomes a dead letter instead of being passed over. */
  readonly strict: boolean;
  /** Event time of the record appended last, which chooses the month partition; null where arrival does. µs */
  readonly at: number | null;
  /** Appends a record's rows and returns how many. Throws RECORD_INVALID or TIME_OUT_OF_RANGE; the caller cuts back. */
  append(body: AvroSource, key: Key, coordinates: Coordinates, to: RowBinary): number;
}

/** 1900-01-01, where DateTime64 begins. µs */
const FIRST_TIME = -2_208_988_800_000_000;

/** A time that months can be told of. Throws TIME_OUT_OF_RANGE. */
export const plausible = (at: number): number => {
  if (at < FIRST_TIME) throw new AttestreamError('TIME_OUT_OF_RANGE', `event time ${at} µs lies before 1900`);
  return at;
};
