import { Readable } from 'node:stream';
import type { ClickHouseClient } from '@clickhouse/client';
import type { RowTable } from './tables.js';

/** Rows of one table, to be there once however often they are sent. */
export interface RowInsert {
  readonly table: RowTable;
  readonly columns: readonly string[];
  /** RowBinary, values in the order of `columns`. */
  readonly bytes: Buffer;
  /** Names these very rows: a second insert with it changes nothing, or completes what is missing. */
  readonly token: string;
}

/** More rows than any chunk has: deduplication is per block, so that a chunk must be one. */
const ONE_BLOCK = '1000000';

/** Sends the rows and waits until they are parts on disk. Throws the client's errors. */
export const insertRows = async (
  client: ClickHouseClient,
  { table, columns, bytes, token }: RowInsert,
): Promise<void> => {
  const { stream } = await client.exec({
    query: `INSERT INTO ${table} (${columns.join(', ')}) FORMAT RowBinary`,
    // Chunked, so that a body cut off half-way is no body; a length would not tell a proxy's cut from an end.
    values: Readable.from([bytes], { objectMode: false }),
    clickhouse_settings: {
      async_insert: 0,
      insert_deduplicate: 1,
      insert_deduplication_token: token,
      deduplicate_blocks_in_dependent_materialized_views: 1,
      max_insert_block_size: ONE_BLOCK,
      // The status line must tell of the whole insert.
      wait_end_of_query: 1,
    },
  });
  for await (const _ of stream) {
    // An insert answers with nothing, but the socket is free only once that has been read.
  }
};
