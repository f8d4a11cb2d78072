import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { audit, auditPassed } from '../../infra/clickhouse/audit.js';
import { connect, type Store } from '../../infra/clickhouse/connect.js';
import { readServerFile } from '../../infra/clickhouse/embedded/server-file.js';
import { migrate } from '../../infra/clickhouse/migrate.js';
import { queryVerdicts, type VerdictFilter } from '../../infra/clickhouse/verdict-query.js';
import type { Commit, EventLog, Lease, Partition } from '../../infra/log/event-log.js';
import { memoryLog } from '../../infra/log/memory-log.js';
import { openTrace } from '../../infra/log/trace/trace-log.js';
import { sinkMarks } from '../../processors/sink/marks.js';
import type { SinkProgress } from '../../processors/sink/partition-sink.js';
import { runSink } from '../../processors/sink/sink.js';
import { decodeRecord, encodeRecord } from '../../schemas/codec.js';
import { AttestreamError } from '../../schemas/errors.js';
import type { DeadLetter, Parameter, ThreadLook, Verdict } from '../../schemas/records.js';
import { verdictJson } from '../../schemas/verdict-json.js';
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

  const letters = async (log: EventLog): Promise<DeadLetter[]> => {
    const found: DeadLetter[] = [];
    for (let partition = 0; partition < PARTITIONS; partition++)
      for await (const batch of log.read({ topic: 'dead-letters', partition }, 0, Number.POSITIVE_INFINITY))
        for (let i = 0; i < batch.length; i++)
          found.push(
            decodeRecord(
              'DeadLetter',
              Buffer.from(batch.bytes.subarray(batch.values[2 * i]!, batch.values[2 * i + 1]!)),
            ),
          );
    return found;
  };

  test('a row that ClickHouse refuses is set aside with its place, and leaves no hole in the numbering', async () => {
    await store.client.command({ query: "ALTER TABLE verdicts ADD CONSTRAINT no_poison CHECK slice != 'poison'" });
    try {
      const log = await verdictLog(700, (i) => (i === 13 || i === 14 || i === 450 ? { slice: 'poison' } : {}));
      await once(log);
      const expected = PARTITIONS * (700 - 3);
      expect((await audit(store)).tables.verdicts).toEqual({ rows: expected, duplicates: 0, holes: 0, surplus: 0 });
      const found = (await letters(log)).filter(({ code }) => code === 'ROW_REFUSED');
      const first = base - 700;
      expect(
        found
          .map(({ partition, offset }) => [partition, offset - first])
          .sort((a, b) => a[0]! - b[0]! || a[1]! - b[1]!),
      ).toEqual([
        [0, 13],
        [0, 14],
        [0, 450],
        [1, 13],
        [1, 14],
        [1, 450],
      ]);
      expect(decodeRecord('Verdict', found[0]!.value!).slice).toBe('poison');
    } finally {
      await store.client.command({ query: 'ALTER TABLE verdicts DROP CONSTRAINT no_poison' });
    }
  });

  test('a process that dies while it looks for a refused row loses and repeats none', async () => {
    await store.client.command({ query: "ALTER TABLE verdicts ADD CONSTRAINT no_poison CHECK slice != 'poison'" });
    try {
      const log = await verdictLog(200, (i) => (i === 77 ? { slice: 'poison' } : {}));
      for (let die = 1; ; die++) {
        let commits = 0;
        const dying = hooked(log, async (_commit, go) => {
          if (++commits === 3) throw new Error('killed');
          await go();
        });
        const died = await once(dying, { only: [0] }).then(
          () => false,
          () => true,
        );
        if (!died) break;
        expect(die).toBeLessThan(30);
      }
      expect((await audit(store)).tables.verdicts).toEqual({ rows: 199, duplicates: 0, holes: 0, surplus: 0 });
      expect((await letters(log)).filter(({ code }) => code === 'ROW_REFUSED')).toHaveLength(1);
    } finally {
      await store.client.command({ query: 'ALTER TABLE verdicts DROP CONSTRAINT no_poison' });
    }
  });

  test('what cannot be read becomes a dead letter with its reason, and its neighbours become rows', async () => {
    const log = await verdictLog(3);
    const verdict = log.schemas.current('Verdict');
    const body = encodeRecord('Verdict', verdictOf(1));
    const key = Buffer.from('host-0');
    const at = { topic: 'verdicts', partition: 0 };
    const first = await log.append(at, [
      { key, schema: verdict, value: body.subarray(0, -3) },
      { key, schema: verdict, value: Buffer.concat([body, Buffer.from([0])]) },
      { key, schema: log.schemas.current('Gap'), value: Buffer.from([1]) },
      { key, schema: verdict, value: null },
      { key, schema: verdict, value: encodeRecord('Verdict', verdictOf(2, { at: -3_000_000_000_000_000 })) },
      { key, schema: verdict, value: encodeRecord('Verdict', verdictOf(3)) },
    ]);
    await once(log, { topics: undefined });
    const found = (await letters(log)).filter(({ offset }) => offset >= first);
    expect(found.map(({ offset, code }) => [offset - first, code])).toEqual([
      [0, 'RECORD_INVALID'],
      [1, 'RECORD_INVALID'],
      [2, 'RECORD_UNEXPECTED'],
      [3, 'RECORD_INVALID'],
      [4, 'TIME_OUT_OF_RANGE'],
    ]);
    const report = await audit(store);
    expect(report.tables.verdicts.rows).toBe(PARTITIONS * 3 + 1);
    // Also what this very run has written, in the same run.
    expect(report.tables.dead_letters.rows).toBe((await letters(log)).length);
    expect(auditPassed(report)).toBe(true);
    base += 6;
  });

  test('verdicts of two hundred months land in chunks that ClickHouse takes', async () => {
    const log = await verdictLog(200, (i) => ({ at: Date.UTC(2000, i, 2) * 1000 }));
    await once(log);
    expect((await audit(store)).tables.verdicts).toEqual({
      rows: PARTITIONS * 200,
      duplicates: 0,
      holes: 0,
      surplus: 0,
    });
  });

  test('a server that goes away while rows are on their way costs none of them', async () => {
    const log = await verdictLog(1500);
    const troubles: string[] = [];
    let down = 0;
    const failing: Store = {
      ...store,
      get client() {
        return store.client;
      },
      async attempt(work) {
        // Every third request is lost before it is sent, and every fifth answer after it was acted upon.
        if (++down % 3 === 0) throw new AttestreamError('CLICKHOUSE_UNREACHABLE', 'lost on the way');
        const answer = await store.attempt(work);
        if (down % 5 === 0) throw new AttestreamError('CLICKHOUSE_UNREACHABLE', 'lost on the way back');
        return answer;
      },
    };
    await once(log, {
      store: failing,
      onProgress: ({ trouble }: SinkProgress) => troubles.push(trouble?.code ?? 'fine'),
    });
    expect(troubles).toContain('CLICKHOUSE_UNREACHABLE');
    expect(troubles.at(-1)).toBe('fine');
    expect((await audit(store)).tables.verdicts).toEqual({
      rows: PARTITIONS * 1500,
      duplicates: 0,
      holes: 0,
      surplus: 0,
    });
  });

  test('a sink that follows inserts what comes, and drains when it is stopped', async () => {
    const log = await verdictLog(10);
    const stop = new AbortController();
    let rows = 0;
    const running = runSink({
      log,
      store,
      stop: stop.signal,
      topics: ['verdicts'],
      limits: { linger: 20 },
      onProgress: (progress) => {
        if (progress.partition === 0) rows = progress.rows;
        if (rows === 10) stop.abort();
      },
    });
    await running;
    expect(rows).toBe(10);
    expect(auditPassed(await audit(store, await sinkMarks(log)))).toBe(true);
  });

  test('the audit finds what is double, missing, or more than was ever sent', async () => {
    const log = await verdictLog(100);
    await once(log);
    const copy = (where: string): Promise<unknown> =>
      store.client.command({
        query: `INSERT INTO verdicts SELECT * FROM verdicts WHERE ${where}`,
        clickhouse_settings: { insert_deduplicate: 0 },
      });
    await copy('partition = 0 AND row IN (3, 4)');
    await store.client.command({ query: 'DELETE FROM verdicts WHERE partition = 1 AND row IN (50, 51, 52)' });
    expect((await audit(store)).tables.verdicts).toEqual({ rows: 199, duplicates: 2, holes: 3, surplus: 0 });
    // The last rows missing is something only the log can tell.
    await store.client.command({ query: 'DELETE FROM verdicts WHERE partition = 1 AND row >= 95' });
    expect((await audit(store)).tables.verdicts.holes).toBe(3);
    const marks = await sinkMarks(log);
    expect((await audit(store, marks)).tables.verdicts.holes).toBe(8);
    const fewer = marks.map((mark) => ({ ...mark, rows: 90, intended: 90 }));
    expect((await audit(store, fewer)).tables.verdicts.surplus).toBe(10 + 5);
    await store.client.command({ query: 'TRUNCATE TABLE verdicts' });
    expect((await audit(store, marks)).tables.verdicts).toEqual({ rows: 0, duplicates: 0, holes: 200, surplus: 0 });
  });

  test('verdicts are read back as they were published', async () => {
    const published = Array.from({ length: 40 }, (_, i) => verdictOf(i, { host: 'host-0' }));
    const log = await verdictLog(40);
    await once(log, { only: [0] });
    const all = async (filter: VerdictFilter): Promise<Record<string, unknown>[]> => {
      const found: Record<string, unknown>[] = [];
      for await (const verdict of queryVerdicts(store, filter)) found.push(verdict);
      return found;
    };
    expect(await all({})).toEqual(published.map(verdictJson));
    expect(await all({ state: 'violated' })).toEqual(
      published.filter(({ state }) => state === 'violated').map(verdictJson),
    );
    expect(await all({ since: published[30]!.at })).toEqual(published.slice(30).map(verdictJson));
    expect(await all({ limit: 2 })).toEqual(published.slice(-2).map(verdictJson));
    expect(await all({ container: 'c0ffee', process: '1007:777' })).toEqual([published[7]!].map(verdictJson));
    expect(await all({ id: published[5]!.id.toString('hex').slice(0, 12) })).toEqual([verdictJson(published[5]!)]);
    expect(await all({ kind: 'host' })).toEqual([]);
    await expect(all({ id: "x' OR 1" })).rejects.toMatchObject({ code: 'USAGE' });
  });

  test('transitions and the current state follow from the verdicts', async () => {
    const states = ['conforming', 'violated', 'violated', 'violated', 'conforming', 'conforming', 'overdue'];
    const log = await verdictLog(states.length, (i) => ({ state: states[i]!, process: '1:1', slice: '' }));
    await once(log, { only: [0], limits: { rows: 2 } });
    const query = async (sql: string): Promise<unknown[]> =>
      (await store.client.query({ query: sql, format: 'JSONCompactEachRow' })).json();
    expect(await query('SELECT previous, state, row FROM transitions ORDER BY row')).toEqual([
      ['', 'conforming', 0],
      ['conforming', 'violated', 1],
      ['violated', 'conforming', 4],
      ['conforming', 'overdue', 6],
    ]);
    expect(await query('SELECT state, row FROM current_state FINAL')).toEqual([['overdue', 6]]);
  });

  test('each thread of a look becomes a row, and what else is in the topic is passed over', async () => {
    const log = memoryLog();
    await log.createTopic('memory', 1);
    const stream = Buffer.alloc(32, 7);
    const parameter = (name: string, int: number): Parameter => ({
      name,
      type: 'int',
      kind: 'current',
      int,
      real: null,
      text: null,
    });
    const thread = (tid: number): ThreadLook => ({
      tid,
      name: 'worker',
      at: 1_700_000_000_000_000 + tid,
      outcome: 'sampled',
      runTime: 5,
      slices: -1,
      complete: true,
      asBefore: false,
      syscall: tid === 2 ? null : 202,
      frames: [
        {
          function: 'actuate',
          alternatives: ['a', 'b'],
          foundBy: 'cfi',
          address: 4096,
          returnAddress: 8192,
          parameters: [{ name: 'level', type: 'double', kind: 'entry', int: null, real: 1.5, text: null }],
        },
      ],
      arguments: [parameter('a0', 3)],
      residue: [
        {
          function: 'read_sensor',
          alternatives: [],
          foundBy: 'residue',
          address: 0,
          returnAddress: 1,
          parameters: [parameter('id', 7)],
        },
      ],
    });
    const look = (seq: number, threads: ThreadLook[]): Buffer =>
      encodeRecord('Look', {
        stream,
        seq,
        at: 1_700_000_000_000_000,
        notBefore: 1_699_999_999_999_999,
        process: '9:9',
        threads,
        micros: 12,
        bytesRead: 4096,
        planned: 'predicted',
        due: 1_699_999_999_999_990,
        stopped: true,
        globals: [parameter('mode', 2)],
      });
    const key = Buffer.from('host-0');
    const gap = encodeRecord('Gap', { stream, seq: 1, at: 1, notBefore: 1, process: '', reason: 'x', lost: 1 });
    await log.append({ topic: 'memory', partition: 0 }, [
      { key, schema: log.schemas.current('Look'), value: look(0, [thread(1), thread(2)]) },
      { key, schema: log.schemas.current('Gap'), value: gap },
      { key, schema: log.schemas.current('Look'), value: look(2, []) },
      { key, schema: -1, value: Buffer.from('?') },
      { key, schema: log.schemas.current('Look'), value: look(3, [thread(3)]) },
    ]);
    await once(log, { topics: ['memory'] });
    const result = await store.client.query({
      query: `SELECT host, seq, ordinal, row, tid, syscall, frames, micros, bytes_read, planned, stopped,
        toUnixTimestamp64Micro(assumeNotNull(due)) AS due, arguments, residue, globals FROM looks ORDER BY row`,
      format: 'JSONEachRow',
    });
    const frames = [
      {
        function: 'actuate',
        alternatives: ['a', 'b'],
        found_by: 'cfi',
        address: 4096,
        return_address: 8192,
        parameters: [{ name: 'level', type: 'double', kind: 'entry', int: null, real: 1.5, text: null }],
      },
    ];
    const row = {
      host: 'host-0',
      frames,
      micros: 12,
      bytes_read: 4096,
      planned: 'predicted',
      stopped: true,
      due: 1_699_999_999_999_990,
      arguments: [parameter('a0', 3)],
      residue: [
        {
          function: 'read_sensor',
          alternatives: [],
          found_by: 'residue',
          address: 0,
          return_address: 1,
          parameters: [parameter('id', 7)],
        },
      ],
      globals: [parameter('mode', 2)],
    };
    expect(await result.json()).toEqual([
      { ...row, seq: 0, ordinal: 0, row: 0, tid: 1, syscall: 202 },
      { ...row, seq: 0, ordinal: 1, row: 1, tid: 2, syscall: null },
      { ...row, seq: 3, ordinal: 0, row: 2, tid: 3, syscall: 202 },
    ]);
    expect(auditPassed(await audit(store, await sinkMarks(log)))).toBe(true);
  });

  test('a folder as log, a sink that dies after its insert, and a server that is killed: still each row once', async () => {
    const own = join(folder, 'restart');
    const url = `embedded:${join(own, 'db')}`;
    const trace = join(own, 'trace');
    let log: EventLog = await openTrace(trace);
    await log.createTopic('verdicts', 1);
    await log.append(
      { topic: 'verdicts', partition: 0 },
      Array.from({ length: 900 }, (_, i) => ({
        key: Buffer.from('host-0'),
        schema: log.schemas.current('Verdict'),
        value: encodeRecord('Verdict', verdictOf(i)),
      })),
    );
    for (let round = 0; ; round++) {
      const local = await connect(url);
      await migrate(local);
      let commits = 0;
      const died = await once(
        // The commit after an insert never happens, so that only the token knows of it.
        hooked(log, async (_commit, go) => {
          if (++commits === 3) throw new Error('killed');
          await go();
        }),
        { store: local },
      ).then(
        () => false,
        () => true,
      );
      await log.close();
      log = await openTrace(trace);
      if (!died) {
        expect(round).toBeGreaterThan(1);
        expect((await audit(local, await sinkMarks(log))).tables.verdicts).toEqual({
          rows: 900,
          duplicates: 0,
          holes: 0,
          surplus: 0,
        });
        await local.close();
        break;
      }
      process.kill(readServerFile(join(own, 'db'))!.pid, 'SIGKILL');
      await local.close();
    }
    await log.close();
  });
});
