import type { StdioOptions } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { EventLog } from '../../../infra/log/event-log.js';
import { AttestreamError, isAttestreamError } from '../../../schemas/errors.js';
import type { Policy } from '../../../schemas/policy/policy.js';
import { policyCovers } from '../../../schemas/policy/selector.js';
import type { Look } from '../../../schemas/records.js';
import { boottimeMicros } from '../../identity/boottime.js';
import { beginStream, type HostIdentity, hostIdentity } from '../../identity/host.js';
import { EventStream } from '../../stream/event-stream.js';
import { every } from '../../stream/together.js';
import type { Lateness } from '../sample/sampler-messages.js';
import { spawnStopped } from '../sample/spawn-stopped.js';
import { startSampler } from '../sample/start-sampler.js';
import { lookRules } from './look-rules.js';
import { followPredictions } from './prediction-feed.js';
import { ProcessWatch, type Watched } from './process-watch.js';
import { Recording } from './recording.js';

export interface RecordOptions {
  /** Names the functions whose parameters are read, and which of them may leave the host; null: names of functions only. */
  readonly policy: Policy | null;
  readonly log: EventLog;
  /** µs; until the processes end if absent. */
  readonly for?: number;
  /** Looks per second, 200 if absent. */
  readonly budget?: number;
  /** Share of one CPU that looks may take; not bounded if absent. */
  readonly cpu?: number;
  /** Image that the container was made of, if known: policies may name it. */
  readonly image?: string;
  readonly stop?: AbortSignal;
  readonly onLook?: (look: Omit<Look, 'stream' | 'seq'>) => void;
  /** Told when the log cannot be reached, and that it will be tried again. */
  readonly onTrouble?: (message: string) => void;
  /** Partitions of the topic `memory` if it must be created. */
  readonly partitions?: number;
  readonly host?: HostIdentity;
}

export interface Recorded {
  readonly looks: number;
  /** Of the looks, those that a prediction asked for, and those that stopped the process. */
  readonly predicted: number;
  readonly stopped: number;
  /** Of threads, not of looks. */
  readonly sampled: number;
  readonly running: number;
  readonly torn: number;
  /** Times that it is known that something was missed. */
  readonly gaps: number;
  readonly processes: number;
  /** All processes ended while they were recorded. */
  readonly ended: boolean;
  /** PID:STARTTIME of the first. */
  readonly process: string;
  /** hex */
  readonly host: string;
  /** µs by which looks came later than planned. */
  readonly lateness: Lateness;
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

/** ms between looks for processes that began or ended, and that a record may wait for others. */
const SCAN_MS = 20;
const LINGER_MS = 100;

/**
 * Records looks at a running process and all that it starts, or at all processes of a container (its full id), until they
 * end, `for` is over, or `stop` aborts. Throws what `openTarget` and the log throw, CONTAINER_NOT_FOUND if a container has no process.
 */
export const record = (
  options: RecordOptions & ({ readonly pid: number } | { readonly container: string }),
): Promise<Recorded> =>
  recordWatched('pid' in options ? { root: options.pid } : { containers: new Set([options.container]) }, options, null);

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
    const begin = { command, resume: program.resume };
    const recorded = await recordWatched({ root: program.pid }, options, begin);
    if (!recorded.ended) program.kill();
    return { ...recorded, exitCode: await program.exited };
  } finally {
    program.kill();
  }
};

const recordWatched = async (
  watched: Watched,
  options: RecordOptions,
  program: { readonly command: string; resume(): void } | null,
): Promise<Recorded> => {
  const identity = options.host ?? hostIdentity();
  const { stream, offset, start } = beginStream(identity);
  const { log, policy, image = '', budget = 200, cpu = Number.POSITIVE_INFINITY, onLook } = options;
  // Which binary a process runs is asked where it is looked at.
  const applies = policy !== null && policyCovers({ ...policy, binary: 'any' }, { image, binary: '' });
  const rules = applies ? lookRules([policy]) : null;
  const { stop, onTrouble, partitions } = options;
  const events = await EventStream.open({
    ...{ log, topic: 'memory', stream, host: identity.host },
    ...(stop === undefined ? {} : { stop }),
    ...(onTrouble === undefined ? {} : { onTrouble }),
    ...(partitions === undefined ? {} : { partitions }),
  });
  events.put('StreamOpened', {
    at: start + offset,
    kind: 'record',
    boot: identity.boot,
    offset,
    agent: `attestream ${VERSION}`,
    previous: [],
  });
  const sampler = startSampler({ offset, hashKey: randomBytes(32) });
  const finish = new AbortController();
  const halt = (): void => finish.abort();
  options.stop?.addEventListener('abort', halt, { once: true });
  const recording = new Recording({
    sampler,
    sink: events,
    watch: new ProcessWatch(watched),
    offset,
    rulesFor: () => rules,
    imageOf: () => image,
    budget: { looks: budget, cpu },
    ofOne: true,
    ...(onLook === undefined ? {} : { onLook }),
  });
  let failure: unknown;
  const fail = (error: unknown): void => {
    failure ??= error;
    halt();
  };
  let over: NodeJS.Timeout | undefined;
  try {
    recording.scan(program === null ? null : boottimeMicros() + EXEC_DEADLINE_MICROS);
    const [process = ''] = recording.following;
    if (process === '')
      throw 'root' in watched
        ? new AttestreamError('PROCESS_GONE', `there is no process ${watched.root}`)
        : new AttestreamError('CONTAINER_NOT_FOUND', 'the container has no process');
    let until = Number.POSITIVE_INFINITY;
    let begun = false;
    const begin = (): void => {
      begun = true;
      program?.resume();
      if (options.for === undefined) return;
      until = boottimeMicros() + offset + options.for;
      over = setTimeout(halt, Math.ceil(options.for / 1000));
    };
    if (options.stop?.aborted === true) halt();
    void every(SCAN_MS, finish.signal, () => recording.scan()).catch(fail);
    void every(LINGER_MS, finish.signal, () => events.flush()).catch(fail);
    void followPredictions(log, identity.host, (one) => recording.predict(one), finish.signal).catch(fail);
    const ending = new Promise<null>((resolve) => finish.signal.addEventListener('abort', () => resolve(null)));
    while (!finish.signal.aborted && recording.following.length > 0) {
      const batch = await Promise.race([sampler.told(), ending]);
      if (batch === null) break;
      await recording.take(batch, () => (finish.signal.aborted ? Number.NEGATIVE_INFINITY : until));
      if (!begun && batch.some(({ is }) => is === 'opened')) begin();
    }
    const ended = recording.following.length === 0;
    sampler.ask({ is: 'end' });
    while (recording.lateness === null) {
      const batch = await sampler.told();
      if (batch === null) break;
      await recording.take(batch, () => (finish.signal.aborted ? Number.NEGATIVE_INFINITY : until));
    }
    if (failure !== undefined) throw failure;
    await events.flush();
    const none = { median: 0, p99: 0 };
    const lateness = recording.lateness ?? { ...none, predicted: none };
    return { ...recording.counts, ended, process, host: identity.host, lateness };
  } catch (error) {
    throw explained(error, program?.command);
  } finally {
    clearTimeout(over);
    options.stop?.removeEventListener('abort', halt);
    halt();
    await sampler.kill();
  }
};

const explained = (error: unknown, command: string | undefined): unknown =>
  command !== undefined && isAttestreamError(error, 'PROCESS_START_FAILED')
    ? new AttestreamError('PROCESS_START_FAILED', `${command} ended before it began: does it exist, is it executable?`)
    : error;
