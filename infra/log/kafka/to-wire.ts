import { AttestreamError } from '../../../schemas/errors.js';
import type { Entry } from '../event-log.js';
import { headersOf } from '../record-type.js';
import { RAW_HEADER } from './batch-builder.js';
import { recordBytes, type WireHeader, type WireRecord } from './record-batch.js';
import type { Registry } from './registry.js';

/** A batch is cut at this many bytes: below every broker's default limit. */
export const BATCH_BYTES = 900_000;
/** A single record may be as large as this; topics are created to take it. */
export const MAX_RECORD_BYTES = 8 * 1024 * 1024;

const frameOf = (id: number): Buffer => {
  const frame = Buffer.alloc(5);
  frame.writeInt32BE(id, 1);
  return frame;
};

/**
 * Entries as records of `topic` (with prefix), their schemas registered, in batches of at most BATCH_BYTES (a larger record alone).
 * `now`: ms, for entries without a timestamp. Throws RECORD_INVALID for one beyond MAX_RECORD_BYTES.
 */
export const toWire = async (
  topic: string,
  entries: readonly Entry[],
  registry: Registry,
  now: number,
): Promise<readonly (readonly WireRecord[])[]> => {
  const frames = new Map<number, Buffer>();
  for (const { schema } of entries)
    if (schema >= 0 && !frames.has(schema)) frames.set(schema, frameOf(await registry.id(topic, schema)));
  const batches: WireRecord[][] = [];
  let room = 0;
  for (const entry of entries) {
    const { key, value, schema, timestamp = now } = entry;
    const frame = frames.get(schema) ?? null;
    let headers: readonly WireHeader[] = headersOf(entry, registry.schemas);
    if (frame === null && value !== null && value.length >= 5 && value[0] === 0)
      headers = [{ key: RAW_HEADER, value: null }, ...headers];
    const record = { key, value, frame, headers, timestamp };
    const bytes = recordBytes(record);
    if (bytes > MAX_RECORD_BYTES)
      throw new AttestreamError(
        'RECORD_INVALID',
        `a record of ${bytes} bytes is too large for ${topic} (limit ${MAX_RECORD_BYTES})`,
      );
    if (bytes > room) {
      batches.push([]);
      room = BATCH_BYTES;
    }
    batches[batches.length - 1]!.push(record);
    room -= bytes;
  }
  return batches;
};
