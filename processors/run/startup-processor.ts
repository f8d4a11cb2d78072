import type { KeyObject } from 'node:crypto';
import { AttestreamError } from '../../schemas/errors.js';
import type { HostPolicy } from '../../schemas/policy/host/host-policy.js';
import { parseHostPolicy } from '../../schemas/policy/host/parse.js';
import { startupFold } from '../startup/fold.js';
import { boundsOfTopic, judgePartitions, type ProcessorOptions } from './judge-partitions.js';
import { Voice } from './voice.js';

export const STARTUP_GROUP = 'startup';

export interface StartupProcessorOptions extends ProcessorOptions<HostPolicy> {
  /** Ed25519 private key: signs requests to agents, checkpoints and receipts; null: none of them is written. */
  readonly key: KeyObject | null;
}

/** Judges every partition of `measurements` that this process is given, until it is stopped or, with `once`, has caught up. */
export const runStartupProcessor = async (options: StartupProcessorOptions): Promise<void> => {
  const { log, key } = options;
  const bounds = await boundsOfTopic(log, 'measurements');
  const { length } = bounds;
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
  await judgePartitions({
    options,
    group: STARTUP_GROUP,
    topic: 'measurements',
    bounds,
    parse: parseHostPolicy,
    fold: startupFold,
    ...(key === null ? {} : { voice: () => new Voice(key, log.schemas) }),
  });
};
