import { setTimeout as sleep } from 'node:timers/promises';
import type { Store } from '../../infra/clickhouse/connect.js';
import type { EventLog, Lease } from '../../infra/log/event-log.js';
import { isAttestreamError } from '../../schemas/errors.js';
import { CHUNK_LIMITS, type ChunkLimits } from './chunk.js';
import { deadLetterRows } from './dead-letter-rows.js';
import { lookRows } from './look-rows.js';
import { PartitionSink, type SinkProgress } from './partition-sink.js';
import { SINK_GROUP } from './position.js';
import type { RowBuilder } from './row-builder.js';
import { verdictRows } from './verdict-rows.js';

/** Topics that become rows. Dead letters come last: the sink itself may add some. */
const BUILDERS: Readonly<Record<string, () => RowBuilder>> = {
  verdicts: verdictRows,
  memory: lookRows,
  'dead-letters': deadLetterRows,
};

export const SINK_TOPICS: readonly string[] = Object.keys(BUILDERS);

/** Table of each of these topics. */
export const SINK_TABLES: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(BUILDERS).map(([topic, builder]) => [topic, builder().table]),
);

const TOPIC_POLL_MS = 1_000;

export interface SinkOptions {
  readonly log: EventLog;
  /** Its tables must exist (`migrate`). */
  readonly store: Store;
  /** Ends after what has been read is inserted. */
  readonly stop: AbortSignal;
  /** Topics without prefix; all of `SINK_TOPICS` if absent. */
  readonly topics?: readonly string[];
  /** Ends when it has come to the ends of the topics as they were at start. */
  readonly once?: boolean;
  /** Partitions; all if absent. */
  readonly only?: readonly number[];
  readonly limits?: Partial<ChunkLimits>;
  /** µs; wall clock, for `ingested_at`. */
  readonly clock?: () => number;
  readonly onProgress?: (progress: SinkProgress) => void;
}

/** Runs one topic until it ends. */
const sinkTopic = async (topic: string, options: SinkOptions, halt: AbortController): Promise<void> => {
  const { log, store, once = false, only } = options;
  let bounds = await log.bounds(topic);
  while (bounds.length === 0) {
    if (once || halt.signal.aborted) return;
    await sleep(TOPIC_POLL_MS, undefined, { signal: halt.signal }).catch(() => {});
    bounds = await log.bounds(topic);
  }
  const remaining = new Set(bounds.keys());
  if (only !== undefined) for (const partition of remaining) if (!only.includes(partition)) remaining.delete(partition);
  const over = new AbortController();
  const abort = (): void => over.abort();
  halt.signal.addEventListener('abort', abort, { once: true });
  if (halt.signal.aborted || remaining.size === 0) abort();

  const failures: unknown[] = [];
  const run = async (lease: Lease): Promise<void> => {
    try {
      await new PartitionSink({
        log,
        store,
        lease,
        builder: BUILDERS[topic]!(),
        until: once ? (bounds[lease.partition]?.end ?? 0) : 'follow',
        stop: halt.signal,
        limits: { ...CHUNK_LIMITS, ...options.limits },
        clock: options.clock ?? (() => Date.now() * 1000),
        onProgress: options.onProgress ?? (() => {}),
      }).run();
      remaining.delete(lease.partition);
      if (remaining.size === 0 && once) abort();
      await lease.release();
    } catch (error) {
      // Another process has it now, and goes on where this one stopped.
      if (isAttestreamError(error, 'LEASE_LOST')) return;
      failures.push(error);
      halt.abort();
    }
  };
  const runs: Promise<void>[] = [];
  try {
    if (!over.signal.aborted)
      for await (const lease of log.own(SINK_GROUP, topic, over.signal, only === undefined ? {} : { only }))
        runs.push(run(lease));
  } catch (error) {
    failures.push(error);
    halt.abort();
  } finally {
    await Promise.all(runs);
    halt.signal.removeEventListener('abort', abort);
  }
  if (failures.length > 0) throw failures[0];
};

/**
 * Brings the rows of the topics into ClickHouse, each exactly once, and says of each chunk how far it has come.
 * While ClickHouse is down it waits, holding two chunks per partition at most.
 * Throws what waiting does not mend: CLICKHOUSE_REFUSED, SINK_DIVERGED, SNAPSHOT_FOREIGN and errors of the log.
 */
export const runSink = async (options: SinkOptions): Promise<void> => {
  const { log, stop, once = false, topics = SINK_TOPICS } = options;
  const halt = new AbortController();
  const abort = (): void => halt.abort();
  stop.addEventListener('abort', abort, { once: true });
  if (stop.aborted) abort();
  try {
    await provideDeadLetters(log, topics);
    const chosen = SINK_TOPICS.filter((topic) => topics.includes(topic));
    const others = chosen.filter((topic) => topic !== 'dead-letters');
    const settled = await Promise.allSettled((once ? others : chosen).map((topic) => sinkTopic(topic, options, halt)));
    for (const result of settled) if (result.status === 'rejected') throw result.reason;
    // Letters that this very run has written are rows as well when it says that it is done.
    if (once && chosen.includes('dead-letters') && !halt.signal.aborted) await sinkTopic('dead-letters', options, halt);
  } finally {
    stop.removeEventListener('abort', abort);
  }
};

/** A partition's dead letters go to the same partition, so that topic has as many. */
const provideDeadLetters = async (log: EventLog, topics: readonly string[]): Promise<void> => {
  if ((await log.bounds('dead-letters')).length > 0) return;
  const counts = await Promise.all(topics.map(async (topic) => (await log.bounds(topic)).length));
  const partitions = Math.max(0, ...counts);
  if (partitions > 0) await log.createTopic('dead-letters', partitions);
};
