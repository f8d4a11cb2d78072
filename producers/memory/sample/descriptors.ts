import { readFileSync } from 'node:fs';

/** Holds file descriptors that can be opened again: under a limit, those least used are given up. */
export interface Holder {
  /** Descriptors held now. */
  readonly held: number;
  /** Value of `used()` at the last use. */
  readonly lastUsed: number;
  release(): void;
}

const holders = new Set<Holder>();
let uses = 0;
let released = 0;

/** A number that grows with each use. */
export const used = (): number => ++uses;

/** Times that descriptors were given up in this thread of JavaScript because there were no more. */
export const releasedForLimit = (): number => released;

export const hold = (holder: Holder): void => void holders.add(holder);
export const letGo = (holder: Holder): void => void holders.delete(holder);

const exhausted = (error: unknown): boolean => {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EMFILE' || code === 'ENFILE';
};

/** Of all descriptors that the kernel grants, those that holders may have: files of programs, logs and pipes need some too. */
const SHARE = 0.7;

const limit = ((): number => {
  try {
    const soft = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1];
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft) * SHARE;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
})();

let open = 0;

/** A holder opened or closed so many. */
export const count = (descriptors: number): void => {
  open += descriptors;
};

/** The least used quarter of all holders, at least one that holds anything, gives up its descriptors. False if none held any. */
const relieve = (except: Holder): boolean => {
  const held = [...holders].filter((holder) => holder !== except && holder.held > 0);
  held.sort((a, b) => a.lastUsed - b.lastUsed);
  const least = Math.ceil(held.length / 4);
  for (const holder of held.slice(0, least)) holder.release();
  released += least;
  return least > 0;
};

/** Runs `work`, which opens one, and again after others gave up descriptors if there were none left. Throws what `work` throws. */
export const withDescriptors = <T>(holder: Holder, work: () => T): T => {
  if (open >= limit) relieve(holder);
  for (;;)
    try {
      return work();
    } catch (error) {
      if (!exhausted(error) || !relieve(holder)) throw error;
    }
};
