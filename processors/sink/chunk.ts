import type { Output } from '../../infra/log/event-log.js';
import type { Intent } from './position.js';

/** Where a chunk is cut. */
export interface ChunkLimits {
  readonly rows: number;
  readonly bytes: number;
  /** Records that give rows. */
  readonly records: number;
  /** ms that rows wait for company */
  readonly linger: number;
}

/** One block of ClickHouse at most (1,048,449 rows), or a token would not cover the whole; and well below a request's size. */
export const CHUNK_LIMITS: ChunkLimits = { rows: 50_000, bytes: 16 * 1024 * 1024, records: 50_000, linger: 1_000 };

/** Month partitions that one insert may touch: ClickHouse refuses more than 100 for ever. */
export const MAX_MONTHS = 50;

/** Rows cut for one insert, and what is known of the records that gave none. */
export interface Chunk extends Intent {
  /** Records that gave rows. */
  readonly records: number;
  /** RowBinary. */
  readonly bytes: Buffer;
  readonly deadLetters: readonly Output[];
  /** For a chunk of one record: that record as a dead letter, should ClickHouse refuse it. */
  readonly ifRefused: Output | null;
}
