import type { EventLog } from '../../infra/log/event-log.js';
import { type LogAddress, openByUri } from '../../infra/log/open-by-uri.js';
import { parsePolicy } from '../../schemas/policy/parse.js';
import { createEngine } from '../engine/engine.js';
import { runtimeFold } from '../runtime/fold.js';
import { type PartitionResult, runPartition } from './partition-run.js';

/** Part of a replay: plain data, so that another thread can take it. */
export interface Share {
  readonly source: LogAddress;
  /** Folder that takes state and verdicts. */
  readonly target: string;
  readonly policies: readonly { readonly text: string; readonly file: string }[];
  /** Partitions of `memory` and the offsets [from, until) of each. */
  readonly partitions: readonly { readonly partition: number; readonly from: number; readonly until: number }[];
  /** Snapshots are kept, so that a killed run can go on. */
  readonly resumable: boolean;
  readonly speed?: number;
  readonly commitEvery?: number;
}

export const REPLAY_GROUP = 'replay';

/** Judges a share in this thread: one partition after the other, or all at once where time is paced. */
export const judgeShare = async (
  share: Share,
  stop: AbortSignal,
  onProgress: (records: number) => void,
): Promise<readonly PartitionResult[]> => {
  const source = await openByUri(share.source, { readOnly: true });
  const target = await openByUri({ uri: share.target });
  try {
    const one = (partition: Share['partitions'][number]): Promise<PartitionResult> =>
      judgePartition(share, source, target, partition, stop, onProgress);
    if (share.speed !== undefined) return await Promise.all(share.partitions.map(one));
    const results: PartitionResult[] = [];
    for (const partition of share.partitions) {
      if (stop.aborted) break;
      results.push(await one(partition));
    }
    return results;
  } finally {
    await target.close();
    await source.close();
  }
};

const judgePartition = async (
  share: Share,
  source: EventLog,
  target: EventLog,
  { partition, from, until }: Share['partitions'][number],
  stop: AbortSignal,
  onProgress: (records: number) => void,
): Promise<PartitionResult> => {
  const policies = share.policies.map(({ text, file }) => parsePolicy(text, file));
  const owning = new AbortController();
  try {
    for await (const lease of target.own(REPLAY_GROUP, 'memory', owning.signal, {
      only: [partition],
      patience: 10_000,
    })) {
      const engine = createEngine({
        fold: runtimeFold({ policies }),
        partition,
        schemas: source.schemas,
        snapshots: share.resumable,
      });
      const result = await runPartition({
        source,
        lease,
        engine,
        from,
        until,
        stop,
        onProgress,
        ...(share.speed === undefined ? {} : { speed: share.speed }),
        ...(share.commitEvery === undefined ? {} : { commitEvery: share.commitEvery }),
      });
      await lease.release();
      return result;
    }
    throw stop.reason;
  } finally {
    owning.abort();
  }
};
