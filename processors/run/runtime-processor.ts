import { parsePolicy } from '../../schemas/policy/parse.js';
import type { Policy } from '../../schemas/policy/policy.js';
import { runtimeFold } from '../runtime/fold.js';
import { boundsOfTopic, judgePartitions, type ProcessorOptions } from './judge-partitions.js';

export const RUNTIME_GROUP = 'runtime';

/** Judges every partition of `memory` that this process is given, until it is stopped or, with `once`, has caught up. */
export const runRuntimeProcessor = async (options: ProcessorOptions<Policy>): Promise<void> => {
  const { log } = options;
  const bounds = await boundsOfTopic(log, 'memory');
  for (const topic of ['verdicts', 'dead-letters']) await log.createTopic(topic, bounds.length);
  await judgePartitions({
    options,
    group: RUNTIME_GROUP,
    topic: 'memory',
    bounds,
    parse: parsePolicy,
    fold: runtimeFold,
  });
};
