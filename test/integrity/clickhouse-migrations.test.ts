import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { connect, type Store } from '../../infra/clickhouse/connect.js';
import { migrate, readMigrations } from '../../infra/clickhouse/migrate.js';
import { retentionDays } from '../../infra/clickhouse/retention.js';
import { withClickHouse } from '../support/embedded-clickhouse.js';
import { temporaryFolder } from '../support/tmp.js';

withClickHouse('migrations', () => {
  const folder = temporaryFolder('migrations');
  let store: Store;
  beforeAll(async () => {
    store = await connect(`embedded:${join(folder, 'db')}`);
  });
  afterAll(() => store.close());

  const tables = async (): Promise<string[]> =>
    (await (await store.client.query({ query: 'SHOW TABLES', format: 'JSONEachRow' })).json<{ name: string }>()).map(
      ({ name }) => name,
    );

  test('a migration is applied once, and a second run changes nothing', async () => {
    expect(await migrate(store)).toEqual(readMigrations().map(({ number }) => number));
    expect(await migrate(store)).toEqual([]);
    expect(await tables()).toEqual(
      expect.arrayContaining(['verdicts', 'transitions', 'current_state', 'looks', 'dead_letters']),
    );
  });

  test('a migration that was cut off between statements goes on where it stopped', async () => {
    const [first] = readMigrations();
    const cut = {
      ...first!,
      number: 900,
      name: 'cut',
      statements: ['CREATE TABLE cut_a (x Int8) ENGINE = Memory', 'broken'],
    };
    await expect(migrate(store, { migrations: [...readMigrations(), cut] })).rejects.toMatchObject({
      code: 'CLICKHOUSE_REFUSED',
    });
    const mended = { ...cut, statements: [cut.statements[0]!, 'CREATE TABLE cut_b (x Int8) ENGINE = Memory'] };
    expect(await migrate(store, { migrations: [...readMigrations(), mended] })).toEqual([900]);
    expect(await tables()).toEqual(expect.arrayContaining(['cut_a', 'cut_b']));
  });

  test('a migration that was edited after it was applied is refused, and so is one from the future', async () => {
    await expect(migrate(store)).rejects.toMatchObject({ code: 'MIGRATION_NEWER' });
    await store.client.command({ query: 'DELETE FROM migrations WHERE number = 900' });
    const edited = readMigrations().map((m) => (m.number === 2 ? { ...m, checksum: 'f'.repeat(64) } : m));
    await expect(migrate(store, { migrations: edited })).rejects.toMatchObject({ code: 'MIGRATION_CHANGED' });
  });

  test('rows are kept for as long as asked', async () => {
    expect(await retentionDays(store)).toBe(365);
    await migrate(store, { keepDays: 30 });
    expect(await retentionDays(store)).toBe(30);
    expect(await retentionDays(store, 'dead_letters')).toBe(30);
  });
});
