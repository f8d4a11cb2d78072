import type { Batch, EventLog, Lease } from '../../infra/log/event-log.js';
import type { HostDigest } from '../engine/digest.js';
import type { Engine, EngineCounts } from '../engine/engine.js';
import { paced } from './pace.js';
import type { Voice } from './voice.js';

export interface PartitionRun {
  /** Where events are read. */
  readonly source: EventLog;
  /** Where outputs, snapshots and the position go; may be a lease of another log than `source`. */
  readonly lease: Lease;
  readonly engine: Engine;
  /** Offset to begin at if nothing was committed yet. */
  readonly from: number;
  readonly until: number | 'follow';
  readonly stop: AbortSignal;
  /** Event time per real time; absent: as fast as possible. */
  readonly speed?: number;
  /** A commit is due after so many records at the latest; whole batches are committed, so some more may be in it. */
  readonly commitEvery?: number;
  /** Signs what the fold wants said and receipts for what was consumed; absent: neither leaves. */
  readonly voice?: Voice;
  /** Before a batch is pushed: loads what its assignments name. */
  readonly prepare?: (batch: Batch) => Promise<void>;
  /** Records handled since the last call. */
  readonly onProgress?: (records: number) => void;
}

export interface PartitionResult {
  readonly counts: EngineCounts;
  readonly digests: readonly HostDigest[];
  readonly openTimers: number;
  readonly next: number;
}

/** A commit is due after so many records, outputs or milliseconds, whichever comes first. */
const COMMIT = { records: 65_536, outputs: 16_384, ms: 1_000 } as const;

/**
 * Judges one partition from where its last commit stopped. Everything since a commit is one commit: outputs, snapshots and
 * position become visible together or not at all. Ends at `until`, or when `stop` aborts or the lease is lost.
 */
export const runPartition = async (run: PartitionRun): Promise<PartitionResult> => {
  const { source, lease, engine, until, stop, speed } = run;
  const restored = await lease.restore();
  for await (const snapshot of restored.snapshots) engine.restore(snapshot);
  const limit = run.commitEvery ?? COMMIT.records;
  let next = Math.max(restored.next, run.from);
  let committed = next;
  let since = performance.now();
  let records = 0;
  const commit = async (): Promise<void> => {
    if (next === committed && engine.pending === 0) return;
    const { outputs, snapshots, toSay } = engine.take();
    const said = run.voice?.speak(toSay, lease.topic, lease.partition, engine.newestTick) ?? [];
    await lease.commit({ outputs: [...outputs, ...said], snapshots, next });
    committed = next;
    records = 0;
    since = performance.now();
  };
  const halt = AbortSignal.any([stop, lease.lost]);
  if (until === 'follow' || next < until) {
    const batches = source.read({ topic: lease.topic, partition: lease.partition }, next, until, halt);
    const reading = speed === undefined ? batches : paced(batches, source.schemas, speed, halt);
    // While following, a commit must not wait for the next record: quiet partitions commit by the clock too.
    const timer =
      until === 'follow' ? everySecond(() => records > 0 && performance.now() - since >= COMMIT.ms, commit) : null;
    try {
      for await (const batch of reading) {
        await run.prepare?.(batch);
        await timer?.idle();
        engine.push(batch);
        run.voice?.consume(batch);
        next = batch.next;
        records += batch.length;
        run.onProgress?.(batch.length);
        if (records >= limit || engine.pending >= COMMIT.outputs || performance.now() - since >= COMMIT.ms)
          await commit();
        if (halt.aborted) break;
      }
    } finally {
      await timer?.end();
    }
  }
  if (!lease.lost.aborted) await commit();
  return { counts: { ...engine.counts }, digests: [...engine.digests()], openTimers: engine.openTimers, next };
};

/** Runs `work` now and then, never twice at once; `idle` waits until it is not running. */
const everySecond = (due: () => boolean, work: () => Promise<void>) => {
  let running: Promise<void> = Promise.resolve();
  let failure: unknown;
  let busy = false;
  const timer = setInterval(() => {
    if (busy || !due()) return;
    busy = true;
    running = work()
      .catch((error: unknown) => {
        failure = error;
      })
      .finally(() => {
        busy = false;
      });
  }, COMMIT.ms / 4);
  const idle = async (): Promise<void> => {
    await running;
    if (failure !== undefined) throw failure;
  };
  return {
    idle,
    end: async (): Promise<void> => {
      clearInterval(timer);
      await idle();
    },
  };
};
