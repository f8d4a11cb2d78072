import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EventLog } from '../../infra/log/event-log.js';
import { recordsOf } from '../../infra/log/records.js';
import { openTrace } from '../../infra/log/trace/trace-log.js';
import { makeFolder } from '../../infra/make-folder.js';
import { AttestreamError } from '../../schemas/errors.js';
import { parseDocumentText } from '../../schemas/policy/document.js';
import { policyDigest } from '../../schemas/policy/parse.js';
import type { DeadLetter, Records, Verdict } from '../../schemas/records.js';
import { runDigest } from '../engine/digest.js';
import type { EngineCounts } from '../engine/engine.js';
import type { Share } from './judge.js';
import type { PartitionResult } from './partition-run.js';
import { judgeWithWorkers } from './workers.js';

/** What is judged of one topic, and by what. */
export type JudgedRange = Pick<Share, 'topic' | 'policies' | 'partitions'>;

export interface ReplayOptions extends Omit<Share, 'target' | 'resumable' | keyof JudgedRange> {
  /** Judged one topic after the other, so that the order of verdicts does not depend on the number of workers. */
  readonly ranges: readonly JudgedRange[];
  readonly workers: number;
  /** Folder that keeps state and verdicts, so that a killed run can go on; absent: nothing is kept. */
  readonly state?: string;
  readonly stop: AbortSignal;
  readonly onProgress: (records: number) => void;
}

export interface Replay {
  readonly counts: EngineCounts;
  /** sha256:… over everything that was said, in its order per host. */
  readonly digest: string;
  /** sha256:… over what holds in the end, however it arrived. */
  readonly conclusions: string;
  readonly openTimers: number;
  /** By partition, then offset of the trigger, then ordinal. */
  verdicts(): AsyncIterable<Verdict>;
  deadLetters(): AsyncIterable<DeadLetter>;
  /** Forgets what was not asked to be kept. */
  close(): Promise<void>;
}

const MANIFEST = 'replay.json';

/** What the state in a folder was made of: going on with anything else would mix two answers. */
const checkManifest = (folder: string, options: ReplayOptions): void => {
  const manifest = JSON.stringify({
    source: options.source.uri,
    keys: options.keys,
    ranges: options.ranges.map(({ topic, policies, partitions }) => ({
      topic,
      policies: policies.map(({ text, file }) => policyDigest(parseDocumentText(text, file).document)),
      partitions,
    })),
  });
  const path = join(folder, MANIFEST);
  let found: string | null = null;
  try {
    found = readFileSync(path, 'utf8');
  } catch {
    found = null;
  }
  if (found === null) {
    writeFileSync(`${path}.new`, manifest);
    renameSync(`${path}.new`, path);
  } else if (found !== manifest)
    throw new AttestreamError('STATE_MISMATCH', `${folder} holds the state of another replay`, { path });
};

async function* records<N extends 'Verdict' | 'DeadLetter'>(
  log: EventLog,
  topic: string,
  type: N,
): AsyncGenerator<Records[N]> {
  for await (const { record } of recordsOf(log, topic, type)) yield record;
}

const sum = (results: readonly PartitionResult[]): EngineCounts => {
  const total: EngineCounts = {
    records: 0,
    events: 0,
    duplicates: 0,
    missing: 0,
    late: 0,
    deadLetters: 0,
    verdicts: 0,
  };
  for (const { counts } of results)
    for (const name of Object.keys(total) as (keyof EngineCounts)[]) total[name] += counts[name];
  return total;
};

/** Judges a range of a log again, under given policies, and gives all that was concluded. */
export const replay = async (options: ReplayOptions): Promise<Replay> => {
  const target = options.state ?? (await mkdtemp(join(tmpdir(), 'attestream-replay-')));
  const discard = (): void => {
    if (options.state === undefined) rmSync(target, { recursive: true, force: true });
  };
  try {
    makeFolder(target);
    if (options.state !== undefined) checkManifest(target, options);
    const log = await openTrace(target);
    const { source, keys, speed, commitEvery, ranges } = options;
    const partitions = Math.max(...ranges.flatMap((range) => range.partitions.map(({ partition }) => partition))) + 1;
    for (const topic of [...ranges.map((range) => range.topic), 'verdicts', 'dead-letters'])
      await log.createTopic(topic, partitions);
    await log.close();
    const results: PartitionResult[] = [];
    for (const range of ranges)
      results.push(
        ...(await judgeWithWorkers(
          {
            ...range,
            source,
            target,
            keys,
            resumable: options.state !== undefined,
            ...(speed === undefined ? {} : { speed }),
            ...(commitEvery === undefined ? {} : { commitEvery }),
          },
          options.workers,
          options.stop,
          options.onProgress,
        )),
      );
    options.stop.throwIfAborted();
    const hosts = results
      .flatMap(({ digests }) => digests)
      .map((digest) => ({
        ...digest,
        // A worker's buffers arrive as plain bytes.
        head: Buffer.from(digest.head),
        conclusions: Buffer.from(digest.conclusions),
      }));
    const output = await openTrace(target, { readOnly: true });
    return {
      counts: sum(results),
      digest: runDigest(hosts, 'head'),
      conclusions: runDigest(hosts, 'conclusions'),
      openTimers: results.reduce((open, { openTimers }) => open + openTimers, 0),
      verdicts: () => records(output, 'verdicts', 'Verdict'),
      deadLetters: () => records(output, 'dead-letters', 'DeadLetter'),
      close: async () => {
        await output.close();
        discard();
      },
    };
  } catch (error) {
    discard();
    throw error;
  }
};
