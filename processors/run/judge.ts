import { createPublicKey } from 'node:crypto';
import type { EventLog } from '../../infra/log/event-log.js';
import { type LogAddress, openByUri } from '../../infra/log/open-by-uri.js';
import { parseHostPolicy } from '../../schemas/policy/host/parse.js';
import { parsePolicy } from '../../schemas/policy/parse.js';
import { pinnedKeys } from '../../schemas/signed.js';
import { createEngine, type Engine } from '../engine/engine.js';
import { runtimeFold } from '../runtime/fold.js';
import { startupFold } from '../startup/fold.js';
import { type PartitionResult, runPartition } from './partition-run.js';

export type JudgedTopic = 'memory' | 'measurements';

/** A policy of the kind that its topic is judged by, as it stands in its file. */
export interface PolicyText {
  readonly text: string;
  readonly file: string;
}

/** Part of a replay: plain data, so that another thread can take it. */
export interface Share {
  readonly source: LogAddress;
  /** Folder that takes state and verdicts. */
  readonly target: string;
  /** `memory` is judged under policies of processes, `measurements` under policies of hosts. */
  readonly topic: JudgedTopic;
  readonly policies: readonly PolicyText[];
  /** Public keys (PEM) whose ticks, assignments and enrolments are believed. */
  readonly keys: readonly string[];
  /** Partitions of the topic and the offsets [from, until) of each. */
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
  const owning = new AbortController();
  try {
    for await (const lease of target.own(REPLAY_GROUP, share.topic, owning.signal, {
      only: [partition],
      patience: 10_000,
    })) {
      const engine = engineOf(share, source, partition);
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

const engineOf = ({ topic, policies, keys, resumable }: Share, { schemas }: EventLog, partition: number): Engine => {
  const pinned = pinnedKeys(keys.map((pem) => createPublicKey(pem)));
  const common = { partition, schemas, snapshots: resumable, keys: pinned };
  return topic === 'memory'
    ? createEngine({
        ...common,
        fold: runtimeFold({ policies: policies.map(({ text, file }) => parsePolicy(text, file)) }),
      })
    : createEngine({
        ...common,
        fold: startupFold({ policies: policies.map(({ text, file }) => parseHostPolicy(text, file)) }),
      });
};
