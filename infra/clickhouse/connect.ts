import { statfs } from 'node:fs/promises';
import { type ClickHouseClient, ClickHouseLogLevel, createClient } from '@clickhouse/client';
import { AttestreamError } from '../../schemas/errors.js';
import { type Address, parseAddress } from './address.js';
import { type Embedded, type OpenOptions, openEmbedded } from './embedded/open-embedded.js';
import { asAttestreamError, failureOf } from './failure.js';

/** Bytes of disk below which nothing more is inserted. */
const DISK_RESERVE = 512 * 1024 * 1024;

/** A ClickHouse database. */
export interface Store {
  /** Without password, for messages. */
  readonly name: string;
  readonly database: string;
  /** The way to the server as of now: do not keep it across a failure. */
  readonly client: ClickHouseClient;
  /** The embedded server is this process's own. False for a shared one and for a server by address. */
  readonly owner: boolean;
  /**
   * Runs `work`; if an embedded server went away meanwhile, opens it again (perhaps as its owner) and runs `work` once more.
   * Throws CLICKHOUSE_UNREACHABLE or CLICKHOUSE_REFUSED.
   */
  attempt<T>(work: (client: ClickHouseClient) => Promise<T>): Promise<T>;
  /** Throws EMBEDDED_DISK_LOW. A server by address looks after its own disk. */
  requireDisk(): Promise<void>;
  /** The database is made here, because a client that names one that is absent can do nothing. */
  createDatabase(): Promise<void>;
  close(): Promise<void>;
}

export interface ConnectOptions extends OpenOptions {
  readonly environment?: NodeJS.ProcessEnv;
  /** ms; 30 s if absent. */
  readonly requestTimeout?: number;
}

interface Way {
  readonly client: ClickHouseClient;
  readonly admin: ClickHouseClient;
  readonly embedded: Embedded | null;
}

const openWay = async (address: Address, options: ConnectOptions): Promise<Way> => {
  const embedded = address.kind === 'embedded' ? await openEmbedded(address.folder, options) : null;
  const server = address.kind === 'server' ? address : embedded!;
  const settings = {
    url: server.url,
    username: server.username,
    password: server.password,
    http_headers: { ...embedded?.headers },
    application: 'attestream',
    // Failures reach the user as errors; the client's own console lines would only repeat them.
    log: { level: ClickHouseLogLevel.OFF },
    request_timeout: options.requestTimeout ?? 30_000,
    // Rows come back as this code reads them: 64-bit integers as numbers (all of ours fit 2^53).
    clickhouse_settings: {
      output_format_json_quote_64bit_integers: 0 as const,
      date_time_input_format: 'best_effort' as const,
    },
  };
  return {
    client: createClient({ ...settings, database: address.database }),
    admin: createClient({ ...settings, database: 'default' }),
    embedded,
  };
};

const closeWay = async (way: Way): Promise<void> => {
  await Promise.all([way.client.close(), way.admin.close()]);
  await way.embedded?.close();
};

/**
 * Opens `embedded:DIR` or `http(s)://USER:PASSWORD@HOST:PORT/DATABASE` (default database `attestream`).
 * Throws USAGE, CLICKHOUSE_UNREACHABLE, CLICKHOUSE_REFUSED and the EMBEDDED_… codes.
 */
export const connect = async (url: string, options: ConnectOptions = {}): Promise<Store> => {
  const address = parseAddress(url, options.environment);
  const name = address.kind === 'embedded' ? `embedded:${address.folder}` : `${address.url}/${address.database}`;
  let way = await openWay(address, options);
  let reopening: Promise<void> | null = null;
  let closed = false;

  const reopen = (broken: Way): Promise<void> => {
    if (broken !== way) return Promise.resolve();
    reopening ??= (async () => {
      try {
        await closeWay(broken);
        way = await openWay(address, options);
      } finally {
        reopening = null;
      }
    })();
    return reopening;
  };

  const attempt = async <T>(work: (client: ClickHouseClient) => Promise<T>, admin = false): Promise<T> => {
    for (let last = false; ; last = true) {
      const used = way;
      try {
        return await work(admin ? used.admin : used.client);
      } catch (error) {
        if (last || closed || address.kind !== 'embedded' || failureOf(error) !== 'unreachable')
          throw asAttestreamError(error, name);
      }
      await reopen(used);
    }
  };

  const store: Store = {
    name,
    database: address.database,
    get client() {
      return way.client;
    },
    get owner() {
      return way.embedded?.owner ?? false;
    },
    attempt: (work) => attempt(work),
    async requireDisk() {
      if (address.kind !== 'embedded') return;
      const { bavail, bsize } = await statfs(address.folder);
      if (bavail * bsize < DISK_RESERVE)
        throw new AttestreamError(
          'EMBEDDED_DISK_LOW',
          `${Math.floor((bavail * bsize) / 2 ** 20)} MB are left on the disk of ${address.folder}; rows wait until there are 512`,
          { path: address.folder },
        );
    },
    async createDatabase() {
      await attempt((admin) => admin.command({ query: `CREATE DATABASE IF NOT EXISTS ${address.database}` }), true);
    },
    async close() {
      closed = true;
      await reopening?.catch(() => {});
      await closeWay(way);
    },
  };
  try {
    await attempt(async (admin) => (await admin.query({ query: 'SELECT 1', format: 'JSON' })).json(), true);
  } catch (error) {
    await store.close();
    throw error;
  }
  return store;
};
