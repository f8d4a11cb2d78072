import type { Store } from './connect.js';
import { retentionDays } from './retention.js';
import { ROW_TABLES, type RowTable } from './tables.js';

export interface TableAudit {
  /** Rows that are not about to expire. */
  readonly rows: number;
  /** Rows whose number occurs already in their partition. */
  readonly duplicates: number;
  /** Numbers that are missing between the lowest kept and the highest that there should be. */
  readonly holes: number;
  /** Rows numbered beyond all that the log knows to have been sent. 0 where no log was given. */
  readonly surplus: number;
}

export interface AuditReport {
  readonly tables: Readonly<Record<RowTable, TableAudit>>;
}

/** How far the sink has come in one partition of a topic, as its log says. */
export interface SinkMark {
  readonly table: string;
  readonly topic: string;
  readonly partition: number;
  /** Rows done. */
  readonly rows: number;
  /** Rows done and intended. */
  readonly intended: number;
  /** When the newest of them were sent, µs. */
  readonly ingestedAt: number;
}

interface Counted {
  readonly topic: string;
  readonly partition: number;
  readonly rows: number;
  readonly distinct: number;
  readonly lowest: number;
  readonly highest: number;
}

const HOUR = 3_600_000_000;

/** Rows expire as parts are merged, in any order, so those that may be gone by now are left out. µs */
const keptSince = async (store: Store, table: RowTable): Promise<number> => {
  const days = await retentionDays(store, table);
  return days === null ? 0 : Date.now() * 1000 - (days * 24 - 1) * HOUR;
};

const countRows = async (store: Store, table: RowTable, since: number): Promise<Counted[]> =>
  store.attempt(async (client) =>
    (
      await client.query({
        query: `SELECT topic, partition, count() AS rows, uniqExact(row) AS distinct, min(row) AS lowest, max(row) AS highest
          FROM ${table} WHERE ingested_at >= fromUnixTimestamp64Micro({since:Int64}, 'UTC') GROUP BY topic, partition`,
        query_params: { since },
        format: 'JSONEachRow',
      })
    ).json<Counted>(),
  );

const auditTable = (counted: readonly Counted[], marks: readonly SinkMark[], since: number): TableAudit => {
  let [rows, duplicates, holes, surplus] = [0, 0, 0, 0];
  for (const part of counted) {
    const mark = marks.find(({ topic, partition }) => topic === part.topic && partition === part.partition);
    const end = part.highest + 1;
    rows += part.rows;
    duplicates += part.rows - part.distinct;
    holes += Math.max(end, mark?.rows ?? 0) - part.lowest - part.distinct;
    if (mark !== undefined) surplus += Math.max(0, end - mark.intended);
  }
  // Where nothing is left though rows should be, all of them are missing, unless the newest may have expired.
  for (const { topic, partition, rows: done, ingestedAt } of marks)
    if (ingestedAt >= since && !counted.some((part) => part.topic === topic && part.partition === partition))
      holes += done;
  return { rows, duplicates, holes, surplus };
};

/**
 * Checks that every row is there once: `row` runs without hole or repeat from the lowest that is kept, per table, topic and
 * partition; with `marks` (see `sinkMarks`) also that it ends where the sink says.
 */
export const audit = async (store: Store, marks: readonly SinkMark[] = []): Promise<AuditReport> => {
  const auditOf = async (table: RowTable): Promise<readonly [RowTable, TableAudit]> => {
    const since = await keptSince(store, table);
    const counted = await countRows(store, table, since);
    return [
      table,
      auditTable(
        counted,
        marks.filter((mark) => mark.table === table),
        since,
      ),
    ];
  };
  return { tables: Object.fromEntries(await Promise.all(ROW_TABLES.map(auditOf))) as Record<RowTable, TableAudit> };
};

/** True if nothing is missing, double or unaccounted for. */
export const auditPassed = ({ tables }: AuditReport): boolean =>
  Object.values(tables).every(({ duplicates, holes, surplus }) => duplicates === 0 && holes === 0 && surplus === 0);
