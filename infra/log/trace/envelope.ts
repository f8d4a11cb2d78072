import type { Entry, Header } from '../event-log.js';
import type { AvroBytes } from './avro-bytes.js';
import { endOfLong, readLong } from './avro-bytes.js';

/** Schema of a trace's records. `timestampType`: 0 the producer's clock, 1 the log's. */
export const ENVELOPE_SCHEMA = {
  type: 'record',
  name: 'Envelope',
  namespace: 'io.attestream.trace',
  fields: [
    { name: 'topic', type: 'string' },
    { name: 'partition', type: 'int' },
    { name: 'offset', type: 'long' },
    { name: 'timestamp', type: 'long' },
    { name: 'timestampType', type: 'int' },
    { name: 'key', type: ['null', 'bytes'] },
    {
      name: 'headers',
      type: {
        type: 'array',
        items: {
          type: 'record',
          name: 'Header',
          fields: [
            { name: 'key', type: 'string' },
            { name: 'value', type: ['null', 'bytes'] },
          ],
        },
      },
    },
    { name: 'schema', type: ['null', { type: 'fixed', name: 'Fingerprint', size: 8 }] },
    { name: 'value', type: ['null', 'bytes'] },
  ],
} as const;

/** No record of ours takes fewer bytes: bounds how many may hide in damaged ones. */
export const MIN_ENVELOPE_BYTES = 10;

const nullable = (out: AvroBytes, part: Buffer | null): void => {
  if (part === null) out.byte(0);
  else {
    out.byte(2);
    out.sized(part);
  }
};

export interface Stamp {
  readonly offset: number;
  /** ms */
  readonly timestamp: number;
  readonly timestampType: 0 | 1;
}

/** Writes one envelope. `topic` is UTF-8, `fingerprint` null for raw bytes. */
export const writeEnvelope = (
  out: AvroBytes,
  topic: Buffer,
  partition: number,
  stamp: Stamp,
  entry: Entry,
  headers: readonly Header[],
  fingerprint: Buffer | null,
): void => {
  out.sized(topic);
  out.long(partition);
  out.long(stamp.offset);
  out.long(stamp.timestamp);
  out.long(stamp.timestampType);
  nullable(out, entry.key);
  if (headers.length > 0) {
    out.long(headers.length);
    for (const { key, value } of headers) {
      out.text(key);
      nullable(out, value);
    }
  }
  out.byte(0);
  if (fingerprint === null) out.byte(0);
  else {
    out.byte(2);
    out.raw(fingerprint);
  }
  nullable(out, entry.value);
};

/** End of the header array at `start`, handing each header to `seen`; −1 where it is malformed. */
export const walkHeaders = (
  bytes: Uint8Array,
  start: number,
  end: number,
  seen?: (key: [number, number], value: [number, number] | null) => void,
): number => {
  let position = start;
  for (;;) {
    let count = readLong(bytes, position, end);
    if (Number.isNaN(count)) return -1;
    position = endOfLong();
    if (count === 0) return position;
    if (count < 0) {
      count = -count;
      if (!(readLong(bytes, position, end) >= 0)) return -1;
      position = endOfLong();
    }
    for (; count > 0; count--) {
      const keyLength = readLong(bytes, position, end);
      const key = endOfLong();
      if (!(keyLength >= 0 && keyLength < end - key)) return -1;
      position = key + keyLength;
      const branch = bytes[position++]!;
      if (branch === 0) {
        seen?.([key, key + keyLength], null);
        continue;
      }
      const length = readLong(bytes, position, end);
      const value = endOfLong();
      if (branch !== 2 || !(length >= 0 && length <= end - value)) return -1;
      position = value + length;
      seen?.([key, key + keyLength], [value, position]);
    }
  }
};

/** What tells a block's place without decoding it. */
export interface FirstRecord {
  readonly offset: number;
  /** ms */
  readonly timestamp: number;
}

/** Offset and timestamp of the envelope at `start`; null where it is malformed. */
export const firstRecord = (bytes: Uint8Array, start: number, end: number): FirstRecord | null => {
  const topic = readLong(bytes, start, end);
  if (!(topic >= 0 && topic < end - endOfLong())) return null;
  const partition = readLong(bytes, endOfLong() + topic, end);
  if (!(partition >= 0)) return null;
  const offset = readLong(bytes, endOfLong(), end);
  if (!(offset >= 0)) return null;
  const timestamp = readLong(bytes, endOfLong(), end);
  return Number.isNaN(timestamp) ? null : { offset, timestamp };
};
