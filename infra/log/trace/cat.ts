import { isAttestreamError } from '../../../schemas/errors.js';
import type { EventLog, Partition } from '../event-log.js';
import type { TraceBatch } from './envelope-columns.js';

/** A record in the shape of `kcat -J`. */
export interface CatRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly tstype: 'create' | 'logappend';
  /** ms */
  readonly ts: number;
  /** A trace has no brokers. */
  readonly broker: -1;
  /** UTF-8, or `hex:…` where the key is no text. */
  readonly key: string | null;
  /** Name and value in turn. */
  readonly headers: readonly (string | null)[];
  /** The decoded record, bytes in hex; null for a tombstone or where `raw` is given. */
  readonly payload: unknown;
  /** Hex of a value that no known schema describes, or that does not decode. */
  readonly raw?: string;
}

export interface CatOptions {
  readonly topics?: readonly string[];
  readonly partitions?: readonly number[];
  /** Offset to begin at, for each partition; the first by default. */
  readonly from?: (at: Partition) => number | Promise<number>;
  /** Offset to end before; the end by default. */
  readonly until?: (at: Partition) => number | Promise<number>;
  readonly stop?: AbortSignal;
  /** Told of offsets that cannot be read. */
  readonly onDamage?: (at: Partition, from: number, to: number, message: string) => void;
}

/** Decoded records of a log, partition by partition: what `trace cat` prints, one JSON object each. */
export async function* catRecords(log: EventLog, options: CatOptions = {}): AsyncGenerator<CatRecord> {
  for (const topic of options.topics ?? (await log.topics())) {
    const bounds = await log.bounds(topic);
    for (let partition = 0; partition < bounds.length; partition++) {
      if (options.partitions !== undefined && !options.partitions.includes(partition)) continue;
      const at = { topic, partition };
      const from = (await options.from?.(at)) ?? bounds[partition]!.first;
      const until = (await options.until?.(at)) ?? bounds[partition]!.end;
      for await (const batch of log.read(at, from, until, options.stop)) {
        for (const { from, to, message } of batch.damage) options.onDamage?.(at, from, to, message);
        for (let i = 0; i < batch.length; i++) yield catRecord(log, batch, i);
      }
    }
  }
}

type AnyBatch = Omit<TraceBatch, 'producerTime'> & Partial<Pick<TraceBatch, 'producerTime'>>;

const catRecord = (log: EventLog, batch: AnyBatch, i: number): CatRecord => {
  const value = part(batch, batch.values, i);
  const schema = batch.schemas[i]!;
  let payload: unknown = null;
  let undecoded = value !== null;
  if (value !== null && schema >= 0)
    try {
      payload = plain(log.schemas.at(schema).decode(value));
      undecoded = false;
    } catch (error) {
      if (!isAttestreamError(error)) throw error;
    }
  const key = part(batch, batch.keys, i);
  return {
    topic: batch.topic,
    partition: batch.partition,
    offset: batch.offsets[i]!,
    tstype: batch.producerTime?.(i) === true ? 'create' : 'logappend',
    ts: batch.timestamps[i]!,
    broker: -1,
    key: key === null ? null : text(key),
    headers: batch.headers(i).flatMap((header) => [header.key, header.value === null ? null : text(header.value)]),
    payload,
    ...(undecoded ? { raw: value!.toString('hex') } : {}),
  };
};

const part = (batch: AnyBatch, spans: Int32Array, i: number): Buffer | null =>
  spans[2 * i]! < 0 ? null : batch.bytes.subarray(spans[2 * i], spans[2 * i + 1]);

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const text = (bytes: Buffer): string => {
  try {
    return strict.decode(bytes);
  } catch {
    return `hex:${bytes.toString('hex')}`;
  }
};

/** Deeper values are cut: they can only come from a foreign recursive schema. */
const MAX_DEPTH = 64;

/** A decoded value as JSON can show it. */
const plain = (value: unknown, depth = 0): unknown => {
  if (depth > MAX_DEPTH) return '…';
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item, depth + 1)]));
  return value;
};
