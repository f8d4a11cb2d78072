import type { Bounds, EventLog, Lease } from '../../infra/log/event-log.js';
import { AttestreamError, isAttestreamError } from '../../schemas/errors.js';

export interface JudgePartitions {
  readonly log: EventLog;
  readonly group: string;
  readonly topic: string;
  /** Ends at the ends that the topic has now; otherwise follows. */
  readonly once: boolean;
  readonly stop: AbortSignal;
  /** Called once the first partition is owned. */
  readonly onReady?: () => void;
  /** Judges one partition until `halt` aborts, or, with `once`, until its end. */
  readonly judge: (lease: Lease, bounds: Bounds, halt: AbortSignal) => Promise<void>;
}

/** Bounds of a topic's partitions. Throws TOPIC_MISSING. */
export const boundsOfTopic = async (log: EventLog, topic: string): Promise<readonly Bounds[]> => {
  const bounds = await log.bounds(topic);
  if (bounds.length === 0)
    throw new AttestreamError('TOPIC_MISSING', `${log.name} has no topic ${topic}`, { path: log.name });
  return bounds;
};

/** Judges every partition of a topic that this process is given, until it is stopped or, with `once`, has caught up. */
export const judgePartitions = async (run: JudgePartitions): Promise<void> => {
  const { log, group, topic, once, stop } = run;
  const bounds = await boundsOfTopic(log, topic);
  const owning = new AbortController();
  const halt = AbortSignal.any([stop, owning.signal]);
  const left = new Set(bounds.keys());
  const failures: unknown[] = [];
  const one = async (lease: Lease): Promise<void> => {
    try {
      await run.judge(lease, bounds[lease.partition]!, halt);
      left.delete(lease.partition);
      await lease.release();
      if (once && left.size === 0) owning.abort();
    } catch (error) {
      // Another process owns it now and goes on where the last commit stopped.
      if (isAttestreamError(error, 'LEASE_LOST')) return;
      failures.push(error);
      owning.abort();
    }
  };
  const runs: Promise<void>[] = [];
  try {
    for await (const lease of log.own(group, topic, halt)) {
      run.onReady?.();
      const running = one(lease);
      // Catching up, one partition after the other keeps memory small; following, all must be served.
      if (once) await running;
      else runs.push(running);
    }
  } finally {
    owning.abort();
    await Promise.all(runs);
  }
  if (failures.length > 0) throw failures[0];
};
