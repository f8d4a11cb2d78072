/** Tables that rows are inserted into, each from one topic. */
export type RowTable = 'verdicts' | 'looks' | 'dead_letters';

export const ROW_TABLES: readonly RowTable[] = ['verdicts', 'looks', 'dead_letters'];

/** Tables whose rows expire. */
export const EXPIRING_TABLES = [...ROW_TABLES, 'current_state'] as const;

/** Where a row comes from, its dense number, and when it was sent: the first columns of every row table, in this order. */
export const COORDINATE_COLUMNS = ['topic', 'partition', 'offset', 'ordinal', 'row', 'ingested_at'] as const;
