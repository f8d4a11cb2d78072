import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { processStartTime } from './process-start-time.js';

/** How others reach the server that runs on a folder. */
export interface ServerFile {
  readonly pid: number;
  /** Clock ticks after boot, as /proc says: a pid alone may name a stranger by now. */
  readonly startTime: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly secret: string;
}

const NAME = 'server.json';

/** Appears whole or not at all, readable by its owner only. */
export const writeServerFile = (folder: string, server: ServerFile): void => {
  const half = join(folder, `${NAME}.${process.pid}`);
  writeFileSync(half, JSON.stringify(server), { mode: 0o600 });
  renameSync(half, join(folder, NAME));
};

export const removeServerFile = (folder: string): void => rmSync(join(folder, NAME), { force: true });

/** The file's content if its process still lives; null otherwise. */
export const readServerFile = (folder: string): ServerFile | null => {
  try {
    const server = JSON.parse(readFileSync(join(folder, NAME), 'utf8')) as ServerFile;
    return processStartTime(server.pid) === server.startTime ? server : null;
  } catch {
    return null;
  }
};
