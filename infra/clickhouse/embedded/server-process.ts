import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { AttestreamError } from '../../../schemas/errors.js';
import type { FileLock } from '../../log/trace/flock.js';
import { EMBEDDED_USER, SECRET_HEADER, writeConfiguration } from './configuration.js';
import type { Engine } from './engine.js';
import { processStartTime } from './process-start-time.js';
import type { ServerFile } from './server-file.js';

const PROGRAM = fileURLToPath(new URL('./server.mjs', import.meta.url));
const START_TRIES = 3;
/** A cold start takes about half a second; a machine that is busy or short of memory takes many times that. */
const START_MS = 30_000;
const STOP_MS = 5_000;
const LOG_TAIL = 600;

/** A ClickHouse server of ours on a folder, alive until it is stopped, or until this process ends. */
export interface RunningServer {
  readonly file: ServerFile;
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });

/** True if the server answers a query for whoever knows its secrets: an open port alone says nothing. */
export const answers = async (server: Omit<ServerFile, 'pid' | 'startTime'>, timeoutMs = 2_000): Promise<boolean> => {
  try {
    const response = await fetch(`http://127.0.0.1:${server.port}/?query=SELECT%201`, {
      headers: {
        [SECRET_HEADER]: server.secret,
        'X-ClickHouse-User': server.user,
        'X-ClickHouse-Key': server.password,
      },
      signal: AbortSignal.timeout(timeoutMs),
    });
    return response.ok && (await response.text()).trim() === '1';
  } catch {
    return false;
  }
};

const setpriv = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path));

/** The kernel sends the signal when the *thread* that spawned ends, so this runs on the main thread of commands. */
const launch = (folder: string, engine: Engine, lock: FileLock, config: string, port: number): ChildProcess => {
  const log = openSync(join(folder, 'server.log'), 'w', 0o600);
  const program = [PROGRAM, join(folder, 'data'), config, `${port}`, `${process.pid}`, engine.library];
  try {
    const child = spawn(
      setpriv ?? process.execPath,
      setpriv === undefined ? program : ['--pdeathsig', 'KILL', process.execPath, ...program],
      // The server holds the folder's lock as well: a new owner cannot come before it is really gone.
      { cwd: folder, stdio: ['ignore', log, log, lock.descriptor], env: { PATH: process.env['PATH'] ?? '' } },
    );
    child.unref();
    return child;
  } finally {
    closeSync(log);
  }
};

/** Starts the server on a folder whose lock is held. Throws EMBEDDED_FAILED with the end of the server's log. */
export const startServer = async (
  folder: string,
  engine: Engine,
  lock: FileLock,
  signal?: AbortSignal,
): Promise<RunningServer> => {
  for (let attempt = 1; attempt <= START_TRIES; attempt++) {
    // New secrets each time: whoever took the port from us may have read the old ones.
    const access = {
      port: await freePort(),
      user: EMBEDDED_USER,
      password: randomBytes(24).toString('hex'),
      secret: randomBytes(24).toString('hex'),
    };
    const child = launch(folder, engine, lock, writeConfiguration(folder, access.secret, access.password), access.port);
    let alive = true;
    const ended = new Promise<void>((resolve) => {
      const end = (): void => {
        alive = false;
        resolve();
      };
      child.once('exit', end);
      child.once('error', end);
    });
    const stop = async (): Promise<void> => {
      child.ref();
      child.kill('SIGTERM');
      const giveUp = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(giveUp);
    };
    const deadline = performance.now() + START_MS;
    while (alive && performance.now() < deadline && signal?.aborted !== true) {
      if (await answers(access)) {
        const startTime = processStartTime(child.pid!);
        if (startTime !== null) return { file: { ...access, pid: child.pid!, startTime }, ended, stop };
      }
      await sleep(15);
    }
    await stop();
    signal?.throwIfAborted();
  }
  const log = readFileSync(join(folder, 'server.log'), 'utf8').slice(-LOG_TAIL).trim();
  throw new AttestreamError(
    'EMBEDDED_FAILED',
    `the embedded ClickHouse did not start on ${folder}${log === '' ? '' : `; it said: ${log}`}`,
    { path: join(folder, 'server.log') },
  );
};
