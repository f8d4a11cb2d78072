import type { EventLog } from '../../infra/log/event-log.js';
import { parsePolicy } from '../../schemas/policy/parse.js';
import type { Policy } from '../../schemas/policy/policy.js';
import type { PinnedKeys } from '../../schemas/signed.js';
import { createEngine } from '../engine/engine.js';
import { runtimeFold } from '../runtime/fold.js';
import { boundsOfTopic, judgePartitions } from './judge-partitions.js';
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
  const { log, once, stop, onReady } = options;
  const { length } = await boundsOfTopic(log, 'memory');
  for (const topic of ['verdicts', 'dead-letters']) await log.createTopic(topic, length);
  const store = new PolicyStore(log, parsePolicy);
  await store.refresh();
  await judgePartitions({
    log,
    group: RUNTIME_GROUP,
    topic: 'memory',
    once,
    stop,
    ...(onReady === undefined ? {} : { onReady }),
    judge: async (lease, bounds, halt) => {
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
        from: bounds.first,
        until: once ? bounds.end : 'follow',
        stop: halt,
        prepare: (batch) => store.prepare(batch),
        ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
      });
    },
  });
};
