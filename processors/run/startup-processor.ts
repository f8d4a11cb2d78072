import type { KeyObject } from 'node:crypto';
import type { EventLog } from '../../infra/log/event-log.js';
import { AttestreamError } from '../../schemas/errors.js';
import type { HostPolicy } from '../../schemas/policy/host/host-policy.js';
import { parseHostPolicy } from '../../schemas/policy/host/parse.js';
import type { PinnedKeys } from '../../schemas/signed.js';
import { createEngine } from '../engine/engine.js';
import { startupFold } from '../startup/fold.js';
import { boundsOfTopic, judgePartitions } from './judge-partitions.js';
import { runPartition } from './partition-run.js';
import { PolicyStore } from './policy-store.js';
import { Voice } from './voice.js';

export const STARTUP_GROUP = 'startup';

export interface StartupProcessorOptions {
  readonly log: EventLog;
  /** Host policies that hold from the start; null: those that signed assignments put into force. */
  readonly policies: readonly HostPolicy[] | null;
  /** Keys whose ticks, enrolments and revocations are believed. */
  readonly keys: PinnedKeys;
  /** Ed25519 private key: signs requests to agents, checkpoints and receipts; null: none of them is written. */
  readonly key: KeyObject | null;
  /** Ends at the ends that the topic has now; otherwise follows. */
  readonly once: boolean;
  readonly stop: AbortSignal;
  readonly onProgress?: (records: number) => void;
  /** Called once the first partition is owned and restored. */
  readonly onReady?: () => void;
}

/** Judges every partition of `measurements` that this process is given, until it is stopped or, with `once`, has caught up. */
export const runStartupProcessor = async (options: StartupProcessorOptions): Promise<void> => {
  const { log, once, stop, key, onReady } = options;
  const { length } = await boundsOfTopic(log, 'measurements');
  for (const topic of ['verdicts', 'dead-letters', 'journal']) await log.createTopic(topic, length);
  const memory = (await log.bounds('memory')).length;
  // A host's checkpoint goes into its own partition of `memory`, which is the same number only if there are as many.
  if (memory === 0) await log.createTopic('memory', length);
  else if (memory !== length)
    throw new AttestreamError(
      'TOPIC_REPARTITIONED',
      `measurements has ${length} partitions and memory ${memory}: hosts stand in different ones`,
      { path: log.name },
    );
  const store = new PolicyStore(log, parseHostPolicy);
  await store.refresh();
  await judgePartitions({
    log,
    group: STARTUP_GROUP,
    topic: 'measurements',
    once,
    stop,
    ...(onReady === undefined ? {} : { onReady }),
    judge: async (lease, bounds, halt) => {
      const engine = createEngine({
        fold: startupFold({
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
        ...(key === null ? {} : { voice: new Voice(key, log.schemas) }),
        ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
      });
    },
  });
};
