import type { Store } from './connect.js';
import type { RowTable } from './tables.js';

/** How many of the rows numbered [firstRow, firstRow + rows) of a partition are in the table. */
export const landedRows = async (
  store: Store,
  table: RowTable,
  topic: string,
  partition: number,
  firstRow: number,
  rows: number,
): Promise<number> => {
  const found = await store.attempt(async (client) =>
    (
      await client.query({
        query: `SELECT uniqExact(row) AS landed FROM ${table}
          WHERE topic = {topic:String} AND partition = {partition:UInt32} AND row >= {first:UInt64} AND row < {end:UInt64}`,
        query_params: { topic, partition, first: firstRow, end: firstRow + rows },
        format: 'JSONEachRow',
      })
    ).json<{ landed: number }>(),
  );
  return found[0]?.landed ?? 0;
};
