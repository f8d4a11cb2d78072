import { chmodSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AttestreamError } from '../../../schemas/errors.js';
import type { FileLock } from '../../log/trace/flock.js';
import { makeFolder } from '../../make-folder.js';
import { SECRET_HEADER } from './configuration.js';
import { findEngine } from './engine.js';
import { lockHolder, tryFolderLock } from './folder-lock.js';
import { readServerFile, removeServerFile, type ServerFile, writeServerFile } from './server-file.js';
import { answers, startServer } from './server-process.js';
import { checkVersion } from './version-file.js';

/** A way to the server on a folder. */
export interface Embedded {
  readonly url: string;
  readonly username: string;
  readonly password: string;
  /** Every request must carry them. */
  readonly headers: Readonly<Record<string, string>>;
  /** The server is this process's child and ends with it, or with `close`. */
  readonly owner: boolean;
  close(): Promise<void>;
}

export interface OpenOptions {
  readonly signal?: AbortSignal;
  /** ms to wait for a holder of the folder to serve; 10 s if absent. */
  readonly patience?: number;
}

const access = (server: ServerFile, owner: boolean, close: () => Promise<void>): Embedded => ({
  url: `http://127.0.0.1:${server.port}`,
  username: server.user,
  password: server.password,
  headers: { [SECRET_HEADER]: server.secret },
  owner,
  close,
});

const serve = async (folder: string, lock: FileLock, signal?: AbortSignal): Promise<Embedded> => {
  try {
    const engine = findEngine();
    checkVersion(folder, engine);
    removeServerFile(folder);
    const server = await startServer(folder, engine, lock, signal);
    writeServerFile(folder, server.file);
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      removeServerFile(folder);
      lock.release();
    };
    // A server that crashed leaves the folder to whoever opens it next, which may be this process.
    void server.ended.then(release);
    const close = async (): Promise<void> => {
      signal?.removeEventListener('abort', onAbort);
      await server.stop();
      release();
    };
    const onAbort = (): void => void close();
    signal?.addEventListener('abort', onAbort, { once: true });
    return access(server.file, true, close);
  } catch (error) {
    lock.release();
    throw error;
  }
};

/**
 * Opens the ClickHouse data in `folder`: the first process to come starts a server, later ones share it.
 * Throws EMBEDDED_MISSING, EMBEDDED_NEWER, EMBEDDED_FAILED, and EMBEDDED_BUSY if a holder does not serve in time.
 */
export const openEmbedded = async (folder: string, options: OpenOptions = {}): Promise<Embedded> => {
  const place = resolve(folder);
  makeFolder(join(place, 'data'), 0o700);
  makeFolder(join(place, 'tmp'), 0o700);
  chmodSync(place, 0o700);
  const path = join(place, 'LOCK');
  const deadline = performance.now() + (options.patience ?? 10_000);
  for (;;) {
    options.signal?.throwIfAborted();
    const lock = await tryFolderLock(path);
    if (lock !== null) return serve(place, lock, options.signal);
    const server = readServerFile(place);
    if (server !== null && (await answers(server))) return access(server, false, async () => {});
    if (performance.now() >= deadline)
      throw new AttestreamError(
        'EMBEDDED_BUSY',
        `process ${lockHolder(path)} holds ${place} and its ClickHouse does not answer; stop that process or wait`,
        { path },
      );
    await sleep(50);
  }
};
