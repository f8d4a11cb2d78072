import type { Batch, Output } from '../../infra/log/event-log.js';
import { encodeRecord, type SchemaTable } from '../../schemas/codec.js';
import { AttestreamError } from '../../schemas/errors.js';

const slice = (batch: Batch, ends: Int32Array, i: number): Buffer | null =>
  ends[2 * i]! < 0 ? null : batch.bytes.subarray(ends[2 * i]!, ends[2 * i + 1]!);

/** Record `i` of a batch as a dead letter, bytes and all. */
export const deadLetter = (batch: Batch, i: number, error: unknown, schemas: SchemaTable): Output => {
  const schema = batch.schemas[i]!;
  const key = slice(batch, batch.keys, i);
  return {
    topic: 'dead-letters',
    entry: {
      key: key === null ? null : Buffer.from(key),
      schema: schemas.current('DeadLetter'),
      value: encodeRecord('DeadLetter', {
        topic: batch.topic,
        partition: batch.partition,
        offset: batch.offsets[i]!,
        end: batch.offsets[i]! + 1,
        code: error instanceof AttestreamError ? error.code : 'INTERNAL',
        message: error instanceof Error ? error.message : String(error),
        timestamp: Math.floor(batch.timestamps[i]!),
        key,
        value: slice(batch, batch.values, i),
        schema: schema < 0 ? null : schemas.at(schema).fingerprint.toString('hex'),
      }),
    },
  };
};

/** Offsets that a log could not read any more, as one dead letter. */
export const damageLetter = (batch: Batch, damage: Batch['damage'][number], schemas: SchemaTable): Output => ({
  topic: 'dead-letters',
  entry: {
    key: null,
    schema: schemas.current('DeadLetter'),
    value: encodeRecord('DeadLetter', {
      topic: batch.topic,
      partition: batch.partition,
      offset: damage.from,
      end: damage.to,
      code: damage.code,
      message: damage.message,
      timestamp: -1,
      key: null,
      value: null,
      schema: null,
    }),
  },
});
