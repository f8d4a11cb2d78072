import type { StdioOptions } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { EventLog } from '../../../infra/log/event-log.js';
import { AttestreamError } from '../../../schemas/errors.js';
import type { Policy } from '../../../schemas/policy/policy.js';
import type { ProcessEvent } from '../../../schemas/records.js';
import { boottimeMicros } from '../../identity/boottime.js';
import { containerOf } from '../../identity/container.js';
import { beginStream, type HostIdentity, hostIdentity } from '../../identity/host.js';
import { type LookResult, openTarget, type Target } from '../sample/look.js';
import { spawnStopped } from '../sample/spawn-stopped.js';
import { lookRecord } from './look-record.js';
import { Release } from './release.js';
import { StreamWriter } from './stream-writer.js';

export interface RecordOptions {
  /** Names the functions whose parameters are read, and which of them may leave the host; null: names of functions only. */
  readonly policy: Policy | null;
  readonly log: EventLog;
  /** µs; until the process ends if absent. */
  readonly for?: number;
  /** Looks per second, 200 if absent. */
  readonly budget?: number;
  readonly stop?: AbortSignal;
  readonly onLook?: (look: LookResult) => void;
  /** Partitions of the topic `memory` if it must be created. */
  readonly partitions?: number;
  readonly host?: HostIdentity;
}

export interface Recorded {
  readonly looks: number;
  /** Of threads, not of looks. */
  readonly sampled: number;
  readonly running: number;
  readonly torn: number;
  /** The process ended while it was recorded. */
  readonly ended: boolean;
  /** PID:STARTTIME */
  readonly process: string;
  /** hex */
  readonly host: string;
  /** µs by which looks came later than planned. */
  readonly lateness: { readonly median: number; readonly p99: number };
}

const VERSION = ((): string => {
  for (const path of ['../../package.json', '../../../package.json'])
    try {
      return (JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as { version: string }).version;
    } catch {
      // The built files lie one folder deeper than the sources.
    }
  return '0';
})();

/** The program behind a process must be reached within this time after it was let go. */
const EXEC_DEADLINE_MICROS = 10_000_000;

/** Records looks at a running process until it ends, `for` is over, or `stop` aborts. Throws what `openTarget` and the log throw. */
export const record = async (options: RecordOptions & { readonly pid: number }): Promise<Recorded> => {
  const target = openTarget(options.pid, watched(options.policy));
  try {
    return await recordTarget(target, options, { beginning: false, since: boottimeMicros() });
  } finally {
    target.close();
  }
};

/**
 * Starts a program and records it from its first instruction on. A program that still runs at the end is killed.
 * Throws PROCESS_START_FAILED, and what `record` throws.
 */
export const recordCommand = async (
  command: string,
  args: readonly string[],
  options: RecordOptions & { readonly stdio?: StdioOptions; readonly cwd?: string },
): Promise<Recorded & { readonly exitCode: number | null }> => {
  const program = await spawnStopped(command, args, options);
  try {
    const target = openTarget(program.pid, watched(options.policy));
    try {
      const since = boottimeMicros();
      program.resume();
      await reachProgram(target, command, since);
      const recorded = await recordTarget(target, options, { beginning: true, since });
      if (!recorded.ended) program.kill();
      return { ...recorded, exitCode: await program.exited };
    } finally {
      target.close();
    }
  } finally {
    program.kill();
  }
};

const watched = (policy: Policy | null): ReadonlySet<string> => new Set(policy?.functions.keys() ?? []);

/** Looks until the shell that held the program back has become the program. */
const reachProgram = async (target: Target, command: string, since: number): Promise<void> => {
  for (;;) {
    const look = target.look();
    if (look.replaced) return;
    if (look.gone || boottimeMicros() - since > EXEC_DEADLINE_MICROS)
      throw new AttestreamError(
        'PROCESS_START_FAILED',
        `${command} ended before it began: does it exist, is it executable?`,
      );
    await delay(1);
  }
};

const recordTarget = async (
  target: Target,
  options: RecordOptions,
  { beginning, since }: { readonly beginning: boolean; readonly since: number },
): Promise<Recorded> => {
  const identity = options.host ?? hostIdentity();
  const { stream, offset, start } = beginStream(identity);
  const release = new Release(options.policy);
  const writer = await StreamWriter.open(options.log, stream, identity.host, options.partitions);
  const name = `${target.pid}:${target.startTime}`;
  const container = containerOf(target.pid);
  writer.put('StreamOpened', {
    at: start + offset,
    kind: 'record',
    boot: identity.boot,
    offset,
    agent: `attestream ${VERSION}`,
    previous: [],
  });
  const event = (kind: string, at: number, notBefore: number): Omit<ProcessEvent, 'stream' | 'seq'> => ({
    at: at + offset,
    notBefore: notBefore + offset,
    process: name,
    container,
    kind,
    beginning: kind === 'found' && beginning,
    binary: target.binary,
    image: '',
    parent: '',
    exitCode: null,
  });
  writer.put('ProcessEvent', event('found', since, since));

  const period = 1e6 / (options.budget ?? 200);
  const first = boottimeMicros();
  const end = options.for === undefined ? Number.POSITIVE_INFINITY : first + options.for;
  const counts = { looks: 0, sampled: 0, running: 0, torn: 0 };
  const late: number[] = [];
  let last = since;
  let ended = false;
  for (let n = 0; options.stop?.aborted !== true; n++) {
    const due = first + n * period;
    if (due > end) break;
    const now = await reach(due);
    // A stall is a gap as it is: looks that were missed are not made up for.
    if (now - due > period) n = Math.floor((now - first) / period);
    late.push(now - (first + n * period));
    const look = target.look();
    if (look.gone) {
      writer.put('ProcessEvent', event('gone', look.at, last));
      ended = true;
      break;
    }
    if (look.replaced) writer.put('ProcessEvent', event('exec', look.from, last));
    writer.put('Look', lookRecord(look, offset, release));
    last = look.from;
    counts.looks++;
    for (const { outcome } of look.threads)
      if (outcome === 'sampled' || outcome === 'running' || outcome === 'torn') counts[outcome]++;
    options.onLook?.(look);
    await writer.breathe();
  }
  await writer.flush();
  late.sort((a, b) => a - b);
  const quantile = (q: number): number => Math.round(late[Math.min(late.length - 1, Math.floor(late.length * q))] ?? 0);
  return {
    ...counts,
    ended,
    process: name,
    host: identity.host,
    lateness: { median: quantile(0.5), p99: quantile(0.99) },
  };
};

const idle = new Int32Array(new SharedArrayBuffer(4));

/**
 * Waits until `due` (CLOCK_BOOTTIME, µs), never less. Timers count whole milliseconds: the last one is slept through, which
 * holds up the event loop for that long but keeps looks on their schedule without spinning.
 */
const reach = async (due: number): Promise<number> => {
  for (;;) {
    const left = due - boottimeMicros();
    if (left <= 0) return due - left;
    if (left > 1500) await delay(Math.floor((left - 300) / 1000));
    else Atomics.wait(idle, 0, 0, left / 1000);
  }
};
