import { readdirSync, readFileSync } from 'node:fs';
import { type ProcessStat, parseStat } from '../locate/proc-files.js';

/** What the kernel says of a process or thread now; null if there is none. */
export const readStat = (path: string): ProcessStat | null => {
  try {
    return parseStat(readFileSync(`${path}/stat`, 'latin1'));
  } catch {
    return null;
  }
};

export const ended = (stat: ProcessStat | null): boolean => stat === null || stat.state === 'Z' || stat.state === 'X';

/** Threads looked through: a process whose first threads have all ended is rare. */
const MAX_SEARCH = 4096;

/**
 * The id under which a process's memory and files are reached: its own, or, where its first thread has ended and others go
 * on, that of one of these. Null if the process has ended.
 */
export const livingThread = (pid: number): number | null => {
  const stat = readStat(`/proc/${pid}`);
  if (stat === null) return null;
  if (!ended(stat)) return pid;
  let tids: string[];
  try {
    tids = readdirSync(`/proc/${pid}/task`);
  } catch {
    return null;
  }
  for (const tid of tids.slice(0, MAX_SEARCH))
    if (Number(tid) !== pid && !ended(readStat(`/proc/${pid}/task/${tid}`))) return Number(tid);
  return null;
};
