import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { audit, auditPassed } from '../../infra/clickhouse/audit.js';
import { connect, type Store } from '../../infra/clickhouse/connect.js';
import { migrate } from '../../infra/clickhouse/migrate.js';
import type { Commit, EventLog, Lease, Partition } from '../../infra/log/event-log.js';
import { memoryLog } from '../../infra/log/memory-log.js';
import { runSink } from '../../processors/sink/sink.js';
import { encodeRecord } from '../../schemas/codec.js';
import type { Verdict } from '../../schemas/records.js';
import { withClickHouse } from '../support/embedded-clickhouse.js';
import { temporaryFolder } from '../support/tmp.js';
import { verdictOf } from '../support/verdict.js';

withClickHouse('rows', () => {
  const folder = temporaryFolder('sink');
  let store: Store;
  beforeAll(async () => {
    store = await connect(`embedded:${join(folder, 'db')}`);
    await migrate(store);
  });
  afterAll(() => store.close());
  beforeEach(async () => {
    for (const table of ['verdicts', 'looks', 'dead_letters', 'current_state'])
      await store.client.command({ query: `TRUNCATE TABLE ${table}` });
  });

  /** A topic name of its own would be no topic of the sink's, so each test gets a token space of its own by its offsets. */
  let base = 0;
  const PARTITIONS = 2;

  const verdictLog = async (
    perPartition: number,
    change: (i: number) => Partial<Verdict> = () => ({}),
  ): Promise<EventLog> => {
    const log = memoryLog();
    await log.createTopic('verdicts', PARTITIONS);
    // Earlier tests' tokens must not swallow this test's rows: offsets go on where theirs ended.
    const unrelated = { key: null, schema: -1, value: null };
    for (let partition = 0; partition < PARTITIONS; partition++) {
      await log.append(
        { topic: 'verdicts', partition },
        Array.from({ length: base }, () => unrelated),
      );
      await log.append(
        { topic: 'verdicts', partition },
        Array.from({ length: perPartition }, (_, i) => ({
          key: Buffer.from(`host-${partition}`),
          schema: log.schemas.current('Verdict'),
          value: encodeRecord('Verdict', verdictOf(i, { host: `host-${partition}`, ...change(i) })),
        })),
      );
    }
    base += perPartition;
    return log;
  };

  const rowsOf = async (table: string): Promise<number> =>
    Number(
      (
        await (
          await store.client.query({ query: `SELECT count() AS n FROM ${table}`, format: 'JSONEachRow' })
        ).json<{ n: number }>()
      )[0]!.n,
    );

  const once = (log: EventLog, more: object = {}): Promise<void> =>
    runSink({
      log,
      store,
      stop: new AbortController().signal,
      topics: ['verdicts'],
      once: true,
      limits: { rows: 300 },
      ...more,
    });

  /** The same log, whose leases call `hook` around each commit. */
  const hooked = (
    log: EventLog,
    hook: (commit: Commit, go: () => Promise<void>, at: Partition) => Promise<void>,
  ): EventLog =>
    new Proxy(log, {
      get(target, name) {
        if (name !== 'own') {
          const value: unknown = Reflect.get(target, name);
          return typeof value === 'function' ? value.bind(target) : value;
        }
        return async function* (...args: Parameters<EventLog['own']>): AsyncGenerator<Lease> {
          for await (const lease of target.own(...args))
            yield new Proxy(lease, {
              get(inner, member) {
                const value: unknown = Reflect.get(inner, member);
                if (member === 'commit') return (commit: Commit) => hook(commit, () => inner.commit(commit), inner);
                return typeof value === 'function' ? value.bind(inner) : value;
              },
            });
        };
      },
    });

  test('every verdict becomes one row, with its fields, in order, and nothing else', async () => {
    const log = await verdictLog(1000);
    await once(log);
    expect(await rowsOf('verdicts')).toBe(PARTITIONS * 1000);
    expect(auditPassed(await audit(store))).toBe(true);
    await once(log);
    expect(await rowsOf('verdicts')).toBe(PARTITIONS * 1000);
  });

  describe('a process that dies at any commit', () => {
    test.each([
      ['before the commit', false],
      ['after the commit', true],
    ])('%s loses and repeats no row', async (_, after) => {
      const log = await verdictLog(1000);
      let runs = 0;
      for (let at = 0; ; at++) {
        let commits = 0;
        const dying = hooked(log, async (_commit, go) => {
          const dies = commits++ === 1 + (at % 3);
          if (dies && !after) throw new Error('killed');
          await go();
          if (dies) throw new Error('killed');
        });
        runs++;
        const died = await once(dying).then(
          () => false,
          (error: Error) => error.message === 'killed',
        );
        if (!died) break;
        expect(runs).toBeLessThan(40);
      }
      expect(runs).toBeGreaterThan(3);
      expect(await rowsOf('verdicts')).toBe(PARTITIONS * 1000);
      expect((await audit(store)).tables.verdicts).toEqual({
        rows: PARTITIONS * 1000,
        duplicates: 0,
        holes: 0,
        surplus: 0,
      });
    });
  });
});
