import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { AttestreamError } from '../../schemas/errors.js';
import type { Store } from './connect.js';
import { retentionDays, setRetention } from './retention.js';

/** A numbered change of the database, applied once and never edited afterwards. */
export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly statements: readonly string[];
  /** SHA-256 of the file, hex. */
  readonly checksum: string;
}

const FOLDER = new URL('./migrations/', import.meta.url);
const FILE = /^(\d{3})_([a-z0-9_]+)\.sql$/;

/** Statements end with a semicolon at the end of a line; comments are whole lines. */
const statementsOf = (sql: string): string[] =>
  sql
    .replace(/^--.*$/gm, '')
    .split(/;\s*$/m)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');

/** The migrations of this version, in order. */
export const readMigrations = (folder: URL = FOLDER): Migration[] =>
  readdirSync(folder)
    .filter((file) => FILE.test(file))
    .sort()
    .map((file) => {
      const sql = readFileSync(new URL(file, folder), 'utf8');
      const [, number, name] = FILE.exec(file)!;
      return {
        number: Number(number),
        name: name!,
        statements: statementsOf(sql),
        checksum: createHash('sha256').update(sql).digest('hex'),
      };
    });

const TABLE = `CREATE TABLE IF NOT EXISTS migrations
  (number UInt32, name String, checksum String, statements UInt32, applied_at DateTime64(6, 'UTC') DEFAULT now64(6))
  ENGINE = MergeTree ORDER BY number`;

interface Applied {
  readonly number: number;
  readonly name: string;
  readonly checksum: string;
  /** How many of its statements ran: one that was cut off goes on there. */
  readonly done: number;
}

const refuseForeign = (known: readonly Migration[], applied: readonly Applied[], store: Store): void => {
  for (const was of applied) {
    const migration = known.find(({ number }) => number === was.number);
    if (migration === undefined)
      throw new AttestreamError(
        'MIGRATION_NEWER',
        `${store.name} has migration ${was.number} (${was.name}), which this version does not know; use the newer attestream`,
      );
    if (migration.checksum !== was.checksum)
      throw new AttestreamError(
        'MIGRATION_CHANGED',
        `migration ${was.number} (${was.name}) of ${store.name} was applied with another text (${was.checksum.slice(0, 12)}…, here ${migration.checksum.slice(0, 12)}…)`,
      );
  }
};

export interface MigrateOptions {
  /** Days that rows are kept after their arrival; unchanged if absent (365 at first). */
  readonly keepDays?: number;
  readonly migrations?: readonly Migration[];
}

/**
 * Brings the database to this version's tables. Idempotent; what was cut off half-way goes on at its next statement.
 * @returns the numbers applied now
 * Throws MIGRATION_CHANGED, MIGRATION_NEWER, CLICKHOUSE_REFUSED.
 */
export const migrate = async (store: Store, options: MigrateOptions = {}): Promise<number[]> => {
  const migrations = options.migrations ?? readMigrations();
  await store.createDatabase();
  await store.attempt((client) => client.command({ query: TABLE }));
  const applied = await store.attempt(async (client) =>
    (
      await client.query({
        query: `SELECT number, any(name) AS name, any(checksum) AS checksum, max(statements) AS done
          FROM migrations GROUP BY number ORDER BY number`,
        format: 'JSONEachRow',
      })
    ).json<Applied>(),
  );
  refuseForeign(migrations, applied, store);
  const now: number[] = [];
  for (const migration of migrations) {
    const done = applied.find(({ number }) => number === migration.number)?.done ?? 0;
    for (const [index, statement] of migration.statements.entries()) {
      if (index < done) continue;
      // A statement may have run without being noted, if the process died between the two.
      const query = statement.replace(/^CREATE (MATERIALIZED VIEW|TABLE|VIEW) /, 'CREATE $1 IF NOT EXISTS ');
      await store.attempt((client) => client.command({ query }));
      await store.attempt((client) =>
        client.insert({
          table: 'migrations',
          columns: ['number', 'name', 'checksum', 'statements'],
          values: [[migration.number, migration.name, migration.checksum, index + 1]],
          format: 'JSONCompactEachRow',
        }),
      );
    }
    if (done < migration.statements.length) now.push(migration.number);
  }
  if (options.keepDays !== undefined && (await retentionDays(store)) !== options.keepDays)
    await setRetention(store, options.keepDays);
  return now;
};
