import type { EventLog, Lease } from '../../infra/log/event-log.js';
import { AttestreamError, isAttestreamError } from '../../schemas/errors.js';
import type { Policy } from '../../schemas/policy/policy.js';
import type { PinnedKeys } from '../../schemas/signed.js';
import { createEngine } from '../engine/engine.js';
import { runtimeFold } from '../runtime/fold.js';
import { runPartition } from './partition-run.js';
import { PolicyStore } from './policy-store.js';

export const RUNTIME_GROUP = 'runtime';

export interface RuntimeProcessorOptions {
  readonly log: EventLog;
  /** Policies that hold from the start; null: those that signed assignments put into force. */
  readonly policies: readonly Policy[] | null;
  readonly keys: PinnedKeys;
  /** Ends at the ends that the topic has now; otherwise follows. */
  readonly once: boolean;
  readonly stop: AbortSignal;
  readonly onProgress?: (records: number) => void;
  /** Called once the first partition is owned and restored. */
  readonly onReady?: () => void;
}

/** Judges every partition of `memory` that this process is given, until it is stopped or, with `once`, has caught up. */
export const runRuntimeProcessor = async (options: RuntimeProcessorOptions): Promise<void> => {
  const { log, once, stop } = options;
  const bounds = await log.bounds('memory');
  if (bounds.length === 0)
    throw new AttestreamError('TOPIC_MISSING', `${log.name} has no topic memory`, { path: log.name });
  for (const topic of ['verdicts', 'dead-letters']) await log.createTopic(topic, bounds.length);
  const store = new PolicyStore(log);
  await store.refresh();
  const owning = new AbortController();
  const halt = AbortSignal.any([stop, owning.signal]);
  const left = new Set(bounds.keys());
  const failures: unknown[] = [];
  const run = async (lease: Lease): Promise<void> => {
    try {
      const engine = createEngine({
        fold: runtimeFold({
          ...(options.policies === null ? {} : { policies: options.policies }),
          blob: (digest) => store.byDigest(digest),
        }),
        partition: lease.partition,
        schemas: log.schemas,
        keys: options.keys,
      });
      await runPartition({
        source: log,
        lease,
        engine,
        from: bounds[lease.partition]!.first,
        until: once ? bounds[lease.partition]!.end : 'follow',
        stop: halt,
        prepare: (batch) => store.prepare(batch),
        ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
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
    for await (const lease of log.own(RUNTIME_GROUP, 'memory', halt)) {
      options.onReady?.();
      const running = run(lease);
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
