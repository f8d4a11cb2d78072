import { readdirSync, readFileSync } from 'node:fs';
import { containerOf } from '../../identity/container.js';
import { parseStat } from '../locate/proc-files.js';
import { ended, readStat } from '../sample/living-thread.js';

/** A process that belongs to what is watched. */
export interface WatchedProcess {
  readonly pid: number;
  /** Clock ticks since boot, decimal. */
  readonly startTime: string;
  readonly parent: number;
  /** '' outside of any. */
  readonly container: string;
}

/** What is watched: containers by their full ids, or a process and all that descends from it. */
export type Watched = { readonly containers: { has(id: string): boolean } } | { readonly root: number };

interface Known extends WatchedProcess {
  readonly wanted: boolean;
}

const digits = (name: string): boolean => {
  const first = name.charCodeAt(0);
  return first >= 48 && first <= 57;
};

/**
 * Follows which processes belong to what is watched. One pass over the list of processes serves any number of containers, and
 * only processes that are new to it are asked anything.
 */
export class ProcessWatch {
  readonly #watched: Watched;
  readonly #known = new Map<number, Known>();
  /** Numbers whose process has ended, as far as is known: a parent may keep them for long. */
  readonly #ended = new Set<number>();

  constructor(watched: Watched) {
    this.#watched = watched;
  }

  /** Processes that began since the last scan, parents before their children. Those that ended are forgotten. */
  scan(): readonly WatchedProcess[] {
    const pids = readdirSync('/proc').filter(digits).map(Number);
    const alive = new Set(pids);
    for (const pid of this.#known.keys()) if (!alive.has(pid)) this.#drop(pid);
    const fresh = pids
      .filter((pid) => !this.#known.has(pid) || this.#ended.has(pid))
      .map(read)
      .filter((process) => process !== null && process.startTime !== this.#known.get(process.pid)?.startTime)
      .filter((process) => process !== null)
      .sort((a, b) => Number(a.startTime) - Number(b.startTime) || a.pid - b.pid);
    const began: WatchedProcess[] = [];
    for (const process of fresh) {
      const container = 'containers' in this.#watched || this.#descends(process) ? containerOf(process.pid) : '';
      const wanted = 'containers' in this.#watched ? this.#watched.containers.has(container) : this.#descends(process);
      const known = { ...process, container, wanted };
      this.#known.set(process.pid, known);
      this.#ended.delete(process.pid);
      if (wanted) began.push(known);
    }
    return began;
  }

  #descends({ pid, parent }: { readonly pid: number; readonly parent: number }): boolean {
    return 'root' in this.#watched && (pid === this.#watched.root || this.#known.get(parent)?.wanted === true);
  }

  /** Other containers are watched now: what was passed over is looked at again. */
  reconsider(): void {
    for (const [pid, { wanted }] of this.#known) if (!wanted) this.#drop(pid);
  }

  /** A container is watched no longer: should it be watched again, its processes are new. */
  leave(container: string): void {
    for (const [pid, process] of this.#known) if (process.container === container) this.#drop(pid);
  }

  /** The process of this number has ended: later scans ask whether it is another one's. */
  ended(pid: number): void {
    if (this.#known.has(pid)) this.#ended.add(pid);
  }

  #drop(pid: number): void {
    this.#known.delete(pid);
    this.#ended.delete(pid);
  }
}

const read = (pid: number): Omit<WatchedProcess, 'container'> | null => {
  try {
    const stat = parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
    return stat === null ? null : { pid, startTime: stat.startTime, parent: stat.parent };
  } catch {
    return null;
  }
};

/** Whether a process still runs: its number may be another's by now, or be kept by a parent that has not asked for its end. */
export const isAlive = ({ pid, startTime }: Pick<WatchedProcess, 'pid' | 'startTime'>): boolean => {
  const stat = readStat(`/proc/${pid}`);
  return stat?.startTime === startTime && !ended(stat);
};
