import { closeSync, constants, openSync } from 'node:fs';

const LOCK_EX = 2;
const LOCK_NB = 4;
const EINTR = 4;

type Flock = (descriptor: number) => boolean;
let loaded: Promise<Flock> | undefined;

/** Loaded at the first lock: readers of a trace need no foreign function. */
const load = async (): Promise<Flock> => {
  const { default: koffi } = await import('koffi');
  const flock = koffi.load(null).func('int flock(int descriptor, int operation)');
  return (descriptor) => {
    for (;;) {
      if (flock(descriptor, LOCK_EX | LOCK_NB) === 0) return true;
      if (koffi.errno() !== EINTR) return false;
    }
  };
};

/** An exclusive `flock(2)` on a file; the kernel gives it up with the process. */
export interface FileLock {
  readonly descriptor: number;
  release(): void;
}

/** Takes the lock if nobody else has it; null if somebody has. Creates the file. */
export const tryLock = async (path: string): Promise<FileLock | null> => {
  loaded ??= load();
  const flock = await loaded;
  const descriptor = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o644);
  if (!flock(descriptor)) {
    closeSync(descriptor);
    return null;
  }
  return { descriptor, release: () => closeSync(descriptor) };
};
