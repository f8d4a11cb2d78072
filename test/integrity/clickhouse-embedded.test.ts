import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { connect } from '../../infra/clickhouse/connect.js';
import { tryFolderLock } from '../../infra/clickhouse/embedded/folder-lock.js';
import { openEmbedded } from '../../infra/clickhouse/embedded/open-embedded.js';
import { processStartTime } from '../../infra/clickhouse/embedded/process-start-time.js';
import { readServerFile } from '../../infra/clickhouse/embedded/server-file.js';
import { withClickHouse } from '../support/embedded-clickhouse.js';
import { temporaryFolder } from '../support/tmp.js';

const root = temporaryFolder('embedded');
const children: ChildProcess[] = [];

const kill = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
};

afterEach(async () => {
  for (const child of children.splice(0)) await kill(child);
});

/** Another process that opens the folder and stays. Resolves once it says what it is to it. */
const otherProcess = async (folder: string, sql?: string): Promise<{ child: ChildProcess; role: string }> => {
  const args = ['--import', resolve('test/support/typescript.mjs'), resolve('test/support/embedded-owner.ts'), folder];
  const child = spawn(process.execPath, sql === undefined ? args : [...args, sql], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const [line] = (await once(child.stdout!, 'data')) as [Buffer];
  return { child, role: line.toString().trim() };
};

const count = async (url: string, table: string): Promise<number> => {
  const store = await connect(url);
  try {
    const result = await store.client.query({ query: `SELECT count() AS n FROM ${table}`, format: 'JSONEachRow' });
    return (await result.json<{ n: number }>())[0]!.n;
  } finally {
    await store.close();
  }
};

withClickHouse('a folder with a server on it', () => {
  test('the first opener owns the server, a second shares it, and data outlive both', async () => {
    const folder = join(root, 'shared');
    const owner = await connect(`embedded:${folder}`);
    expect(owner.owner).toBe(true);
    await owner.createDatabase();
    await owner.client.command({
      query: 'CREATE TABLE t ENGINE = MergeTree ORDER BY n AS SELECT number AS n FROM numbers(1000)',
    });
    const guest = await otherProcess(folder);
    expect(guest.role).toBe('guest');
    await kill(guest.child);
    expect(await count(`embedded:${folder}`, 't')).toBe(1000);
    const { pid } = readServerFile(folder)!;
    await owner.close();
    expect(processStartTime(pid)).toBeNull();
    expect(await count(`embedded:${folder}`, 't')).toBe(1000);
  });

  test('a killed owner takes its server along, and a new owner starts at once on the same data', async () => {
    const folder = join(root, 'killed');
    const { child, role } = await otherProcess(
      folder,
      'CREATE TABLE t ENGINE = MergeTree ORDER BY n AS SELECT number AS n FROM numbers(1000002)',
    );
    expect(role).toBe('owner');
    const { pid } = readServerFile(folder)!;
    await kill(child);
    const store = await connect(`embedded:${folder}`);
    try {
      expect(store.owner).toBe(true);
      expect(processStartTime(pid)).toBeNull();
      const result = await store.client.query({ query: 'SELECT count() AS n FROM t', format: 'JSONEachRow' });
      expect(await result.json()).toEqual([{ n: 1_000_002 }]);
    } finally {
      await store.close();
    }
  });

  test('a reader whose server went away opens it again, as its owner if nobody else does', async () => {
    const folder = join(root, 'orphan');
    const { child } = await otherProcess(folder, 'CREATE TABLE t ENGINE = MergeTree ORDER BY n AS SELECT 1 AS n');
    const reader = await connect(`embedded:${folder}`);
    try {
      expect(reader.owner).toBe(false);
      await kill(child);
      const rows = await reader.attempt(async (client) =>
        (await client.query({ query: 'SELECT n FROM t', format: 'JSONEachRow' })).json(),
      );
      expect(rows).toEqual([{ n: 1 }]);
      expect(reader.owner).toBe(true);
    } finally {
      await reader.close();
    }
  });

  test('nobody reads who does not know the secret and the password, and no file tells others', async () => {
    const folder = join(root, 'closed');
    const embedded = await openEmbedded(folder);
    try {
      const ask = async (headers: Record<string, string>): Promise<number> =>
        (await fetch(`${embedded.url}/?query=SELECT+1`, { headers })).status;
      const user = { 'X-ClickHouse-User': embedded.username };
      expect(await ask({})).toBe(404);
      expect(await ask({ ...user, 'X-ClickHouse-Key': embedded.password })).toBe(404);
      expect(await ask({ ...embedded.headers, ...user, 'X-ClickHouse-Key': 'guess' })).toBe(403);
      expect(await ask({ ...embedded.headers, ...user, 'X-ClickHouse-Key': embedded.password })).toBe(200);
      // The engine's own user has no password, so it must have no rights either.
      const sql = (query: string, headers: Record<string, string>): Promise<Response> =>
        fetch(`${embedded.url}/`, { method: 'POST', headers: { ...embedded.headers, ...headers }, body: query });
      const login = { ...user, 'X-ClickHouse-Key': embedded.password };
      expect((await sql('CREATE TABLE t ENGINE = MergeTree ORDER BY n AS SELECT 1 AS n', login)).status).toBe(200);
      expect(await (await sql('SELECT * FROM t', login)).text()).toBe('1\n');
      for (const query of ['SELECT * FROM t', 'DROP TABLE t', "SELECT * FROM file('/etc/passwd')", 'SYSTEM SHUTDOWN'])
        expect(await (await sql(query, {})).text()).toContain('ACCESS_DENIED');
      expect(statSync(folder).mode & 0o077).toBe(0);
      for (const file of ['server.json', 'config/config.xml', 'config/users.xml', 'LOCK', 'VERSION', 'server.log'])
        expect([file, statSync(join(folder, file)).mode & 0o077]).toEqual([file, 0]);
      const { pid } = readServerFile(folder)!;
      const visible = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
      expect(visible).not.toContain(embedded.password);
      expect(visible).not.toContain(Object.values(embedded.headers)[0]!);
    } finally {
      await embedded.close();
    }
    expect(readdirSync(folder)).not.toContain('server.json');
  });

  test('a holder that serves nothing is named', async () => {
    const folder = join(root, 'busy');
    mkdirSync(folder);
    const lock = (await tryFolderLock(join(folder, 'LOCK')))!;
    try {
      await expect(openEmbedded(folder, { patience: 200 })).rejects.toMatchObject({
        code: 'EMBEDDED_BUSY',
        message: expect.stringContaining(`process ${process.pid} `),
      });
    } finally {
      lock.release();
    }
  });

  test('data of a newer engine are not touched', async () => {
    const folder = join(root, 'newer');
    mkdirSync(folder);
    writeFileSync(join(folder, 'VERSION'), '{"layout":1,"engine":"99.0.0"}');
    await expect(openEmbedded(folder)).rejects.toMatchObject({ code: 'EMBEDDED_NEWER' });
    expect(readFileSync(join(folder, 'VERSION'), 'utf8')).toContain('99.0.0');
  });

  test('an opening that is called off leaves neither server nor lock', async () => {
    const folder = join(root, 'aborted');
    const stop = new AbortController();
    const opening = openEmbedded(folder, { signal: stop.signal });
    await sleep(100);
    stop.abort();
    await expect(opening).rejects.toThrow();
    const again = await openEmbedded(folder);
    expect(again.owner).toBe(true);
    await again.close();
  });
});
