import { AttestreamError } from './errors.js';

/** Names without prefix, as they stand in traces and in the code. */
export type TopicName =
  | 'measurements'
  | 'memory'
  | 'predictions'
  | 'verdicts'
  | 'policies'
  | 'journal'
  | 'state'
  | 'dead-letters';

export interface Topic {
  readonly name: TopicName;
  readonly cleanup: 'delete' | 'compact';
  /** Record types that may stand in it. */
  readonly records: readonly string[];
}

/** Signed records that stand in every partition of what folds read. */
const controller = ['Tick', 'Assignment', 'Approval', 'Revoked'] as const;

/** The topics and what belongs into each. Each is an order domain keyed by host: one partition is one total order. */
export const TOPICS: readonly Topic[] = [
  {
    name: 'measurements',
    cleanup: 'delete',
    records: [
      'StreamOpened',
      'ListEntry',
      'FirmwareLog',
      'EnrolRequest',
      'EnrolAnswer',
      'Evidence',
      ...controller,
      'EnrolChallenge',
      'Enrolled',
      'Request',
      'Checkpoint',
    ],
  },
  {
    name: 'memory',
    cleanup: 'delete',
    records: ['StreamOpened', 'ProcessEvent', 'Activation', 'Look', 'Gap', ...controller, 'Checkpoint'],
  },
  { name: 'predictions', cleanup: 'delete', records: ['Prediction'] },
  { name: 'verdicts', cleanup: 'delete', records: ['Verdict'] },
  { name: 'policies', cleanup: 'compact', records: ['Policy'] },
  { name: 'journal', cleanup: 'delete', records: ['Receipt'] },
  { name: 'state', cleanup: 'compact', records: ['Snapshot', 'Marker'] },
  { name: 'dead-letters', cleanup: 'delete', records: ['DeadLetter'] },
];

/** Partitions of a topic at creation, fixed from then on. */
export const DEFAULT_PARTITIONS = 24;

/** Prefix of topic names in Kafka; traces leave it out. */
export const DEFAULT_PREFIX = 'attestream.';

/** MurmurHash2, 32 bit, seed 0x9747b28c, as Kafka's default partitioner computes it over a key's bytes. */
export const murmur2 = (data: Uint8Array): number => {
  const m = 0x5bd1e995;
  const length = data.length;
  let h = 0x9747b28c ^ length;
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    let k = data[i]! | (data[i + 1]! << 8) | (data[i + 2]! << 16) | (data[i + 3]! << 24);
    k = Math.imul(k, m);
    k ^= k >>> 24;
    h = Math.imul(h, m) ^ Math.imul(k, m);
  }
  const rest = length - i;
  if (rest >= 3) h ^= data[i + 2]! << 16;
  if (rest >= 2) h ^= data[i + 1]! << 8;
  if (rest >= 1) h = Math.imul(h ^ data[i]!, m);
  h ^= h >>> 13;
  h = Math.imul(h, m);
  return h ^ (h >>> 15);
};

/** Partition of a host's records: (murmur2(UTF-8 host) & 0x7fffffff) mod `partitions`. */
export const partitionOf = (host: string | Uint8Array, partitions: number): number => {
  if (!Number.isInteger(partitions) || partitions < 1)
    throw new AttestreamError('USAGE', `a topic has at least one partition, not ${partitions}`);
  return (murmur2(typeof host === 'string' ? Buffer.from(host, 'utf8') : host) & 0x7fffffff) % partitions;
};
