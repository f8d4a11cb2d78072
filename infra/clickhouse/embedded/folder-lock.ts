import { fchmodSync, ftruncateSync, readFileSync, writeSync } from 'node:fs';
import { type FileLock, tryLock } from '../../log/trace/flock.js';

/** Takes the folder's lock if nobody holds it, and writes into the file who does now; null if somebody else has it. */
export const tryFolderLock = async (path: string): Promise<FileLock | null> => {
  const lock = await tryLock(path);
  if (lock === null) return null;
  fchmodSync(lock.descriptor, 0o600);
  ftruncateSync(lock.descriptor, 0);
  writeSync(lock.descriptor, `${process.pid}\n`, 0);
  return lock;
};

/** The pid that took the lock last, for messages. */
export const lockHolder = (path: string): string => {
  try {
    return readFileSync(path, 'utf8').trim() || 'unknown';
  } catch {
    return 'unknown';
  }
};
