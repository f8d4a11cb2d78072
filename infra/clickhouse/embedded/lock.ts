import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import koffi from 'koffi';

const LOCK_EX = 2;
const LOCK_NB = 4;

/** A held flock(2). Whoever inherits `fd` holds it too, until both have closed it or died. */
export interface Lock {
  readonly fd: number;
  release(): void;
}

type Flock = (fd: number, operation: number) => number;
let flock: Flock | undefined;

/** Takes the lock if nobody holds it, and writes into the file who does now; null if somebody else has it. */
export const tryLock = (path: string): Lock | null => {
  flock ??= koffi.load(null).func('int flock(int, int)') as unknown as Flock;
  const fd = openSync(path, 'a+', 0o600);
  if (flock(fd, LOCK_EX | LOCK_NB) !== 0) {
    const reason = getSystemErrorName(-koffi.errno());
    closeSync(fd);
    if (reason === 'EAGAIN' || reason === 'EWOULDBLOCK') return null;
    throw new Error(`flock ${path}: ${reason}`);
  }
  ftruncateSync(fd, 0);
  writeSync(fd, `${process.pid}\n`);
  return { fd, release: () => closeSync(fd) };
};

/** The pid that took the lock last, for messages. */
export const lockHolder = (path: string): string => {
  try {
    return readFileSync(path, 'utf8').trim() || 'unknown';
  } catch {
    return 'unknown';
  }
};
