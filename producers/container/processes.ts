import { readdirSync, readFileSync } from 'node:fs';
import { containerOf } from '../identity/container.js';
import { parseStat } from '../memory/locate/proc-files.js';

/** A process, told apart from others that had or will have its number by when it started. */
export interface ContainerProcess {
  readonly pid: number;
  /** Clock ticks since boot, decimal. */
  readonly startTime: string;
  readonly name: string;
  readonly parent: number;
}

const stat = (pid: number): ContainerProcess | null => {
  try {
    const found = parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
    if (found === null || found.state === 'Z' || found.state === 'X') return null;
    return { pid, startTime: found.startTime, name: found.name, parent: found.parent };
  } catch {
    return null;
  }
};

const pids = (): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

/** Which of two started first; of one clock tick, the smaller number. */
const byStart = (a: ContainerProcess, b: ContainerProcess): number =>
  Number(a.startTime) - Number(b.startTime) || a.pid - b.pid;

/** Processes that run in a container now, those that `exec` brought in too, the oldest first. */
export const processesIn = (container: string): ContainerProcess[] =>
  pids()
    .filter((pid) => containerOf(pid) === container)
    .map(stat)
    .filter((process) => process !== null)
    .sort(byStart);

/** Containers that have processes on this machine, as its control groups tell, with or without an engine. */
export const containersRunning = (): ReadonlySet<string> =>
  new Set(
    pids()
      .map(containerOf)
      .filter((id) => id !== ''),
  );

/** What has changed in a container since it was last asked about. */
export interface ContainerChange {
  readonly began: readonly ContainerProcess[];
  readonly ended: readonly ContainerProcess[];
}

/** Follows forks, `exec` into a container and ends of processes. A number that was given anew is another process. */
export class ContainerProcesses {
  readonly container: string;
  #known = new Map<string, ContainerProcess>();

  constructor(container: string) {
    this.container = container;
  }

  /** All that run, the oldest first, as of the last `refresh`. */
  get running(): readonly ContainerProcess[] {
    return [...this.#known.values()];
  }

  refresh(): ContainerChange {
    const before = this.#known;
    this.#known = new Map(
      processesIn(this.container).map((process) => [`${process.pid}:${process.startTime}`, process]),
    );
    return {
      began: [...this.#known].filter(([key]) => !before.has(key)).map(([, process]) => process),
      ended: [...before].filter(([key]) => !this.#known.has(key)).map(([, process]) => process),
    };
  }
}
