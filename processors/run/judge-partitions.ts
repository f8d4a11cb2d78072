import type { Bounds, EventLog, Lease } from '../../infra/log/event-log.js';
import { AttestreamError, isAttestreamError } from '../../schemas/errors.js';
import type { RecordName } from '../../schemas/records.js';
import type { PinnedKeys } from '../../schemas/signed.js';
import { createEngine } from '../engine/engine.js';
import type { Fold } from '../engine/fold.js';
import { runPartition } from './partition-run.js';
import { PolicyStore } from './policy-store.js';
import type { Voice } from './voice.js';

/** What every processor is told, whatever it judges by policies of the kind `P`. */
export interface ProcessorOptions<P> {
  readonly log: EventLog;
  /** Policies that hold from the start; null: those that signed assignments put into force. */
  readonly policies: readonly P[] | null;
  /** Keys whose word is believed. */
  readonly keys: PinnedKeys;
  /** Ends at the ends that the topic has now; otherwise follows. */
  readonly once: boolean;
  readonly stop: AbortSignal;
  readonly onProgress?: (records: number) => void;
  /** Called once the first partition is owned. */
  readonly onReady?: () => void;
}

export interface JudgePartitions<P extends { readonly digest: string }, Types extends RecordName, State> {
  readonly options: ProcessorOptions<P>;
  readonly group: string;
  readonly topic: string;
  /** Of the topic's partitions, as they are now. */
  readonly bounds: readonly Bounds[];
  /** Throws POLICY_INVALID for a document of another kind. */
  readonly parse: (text: string, file: string) => P;
  /** The fold of one partition, under the policies that hold from the start or those that `blob` gives by digest. */
  readonly fold: (known: {
    readonly policies?: readonly P[];
    readonly blob: (digest: string) => P | undefined;
  }) => Fold<Types, State>;
  /** Signs what the fold has to say in one partition; absent: nothing is said. */
  readonly voice?: () => Voice;
}

/** Bounds of a topic's partitions. Throws TOPIC_MISSING. */
export const boundsOfTopic = async (log: EventLog, topic: string): Promise<readonly Bounds[]> => {
  const bounds = await log.bounds(topic);
  if (bounds.length === 0)
    throw new AttestreamError('TOPIC_MISSING', `${log.name} has no topic ${topic}`, { path: log.name });
  return bounds;
};

/** Judges every partition of a topic that this process is given, until it is stopped or, with `once`, has caught up. */
export const judgePartitions = async <P extends { readonly digest: string }, Types extends RecordName, State>(
  run: JudgePartitions<P, Types, State>,
): Promise<void> => {
  const { group, topic, bounds } = run;
  const { log, policies, keys, once, stop, onProgress, onReady } = run.options;
  const store = new PolicyStore(log, run.parse);
  await store.refresh();
  const owning = new AbortController();
  const halt = AbortSignal.any([stop, owning.signal]);
  const left = new Set(bounds.keys());
  const failures: unknown[] = [];
  const one = async (lease: Lease): Promise<void> => {
    try {
      const { first, end } = bounds[lease.partition]!;
      const engine = createEngine({
        fold: run.fold({ ...(policies === null ? {} : { policies }), blob: (digest) => store.byDigest(digest) }),
        partition: lease.partition,
        schemas: log.schemas,
        keys,
      });
      await runPartition({
        source: log,
        lease,
        engine,
        from: first,
        until: once ? end : 'follow',
        stop: halt,
        prepare: (batch) => store.prepare(batch),
        ...(run.voice === undefined ? {} : { voice: run.voice() }),
        ...(onProgress === undefined ? {} : { onProgress }),
      });
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
      onReady?.();
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
