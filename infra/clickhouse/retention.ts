import { AttestreamError } from '../../schemas/errors.js';
import type { Store } from './connect.js';
import { EXPIRING_TABLES } from './tables.js';

/** Days that rows of `table` are kept after their arrival; null if for ever. */
export const retentionDays = async (store: Store, table: string = 'verdicts'): Promise<number | null> => {
  const rows = await store.attempt(async (client) =>
    (
      await client.query({
        query: 'SELECT engine_full FROM system.tables WHERE database = {database:String} AND name = {table:String}',
        query_params: { database: store.database, table },
        format: 'JSONEachRow',
      })
    ).json<{ engine_full: string }>(),
  );
  const days = /\bTTL .*?toIntervalDay\((\d+)\)/s.exec(rows[0]?.engine_full ?? '')?.[1];
  return days === undefined ? null : Number(days);
};

/**
 * Keeps rows for `days` after they arrived. Never counted from event time: an old trace would vanish as it comes in.
 * Throws USAGE.
 */
export const setRetention = async (store: Store, days: number): Promise<void> => {
  if (!Number.isInteger(days) || days < 1 || days > 36_500)
    throw new AttestreamError('USAGE', `rows are kept for 1 to 36500 whole days, not ${days}`);
  for (const table of EXPIRING_TABLES)
    await store.attempt((client) =>
      client.command({
        query: `ALTER TABLE ${table} MODIFY TTL toDateTime(ingested_at) + toIntervalDay(${days})`,
        clickhouse_settings: { materialize_ttl_after_modify: 0 },
      }),
    );
};
