import { MAX_BATCH_RECORDS } from '../batch.js';
import type { Batch, Damage, Header } from '../event-log.js';
import { endOfLong, readLong } from './avro-bytes.js';
import { walkHeaders } from './envelope.js';

/** Indices of the schemas that a file describes, found by fingerprint without making a string. */
export class FingerprintIndex {
  readonly #low: number[] = [];
  readonly #high: number[] = [];
  readonly #index: number[] = [];

  add(fingerprint: Buffer, index: number): void {
    this.#low.push(fingerprint.readInt32LE(0));
    this.#high.push(fingerprint.readInt32LE(4));
    this.#index.push(index);
  }

  find(low: number, high: number): number {
    for (let i = 0; i < this.#low.length; i++)
      if (this.#low[i] === low && this.#high[i] === high) return this.#index[i]!;
    return -1;
  }
}

/** Which records of a block to keep: offsets [from, until). */
export interface Wanted {
  from: number;
  until: number;
}

/**
 * Decodes envelopes of one partition straight into the columns of a batch.
 * Bytes are hostile: whatever does not add up makes `decode` answer −1, and nothing of that block counts.
 */
export class EnvelopeColumns {
  readonly #topic: Buffer;
  readonly #offsets = new Float64Array(MAX_BATCH_RECORDS);
  readonly #timestamps = new Float64Array(MAX_BATCH_RECORDS);
  readonly #keys = new Int32Array(2 * MAX_BATCH_RECORDS);
  readonly #values = new Int32Array(2 * MAX_BATCH_RECORDS);
  readonly #schemas = new Int32Array(MAX_BATCH_RECORDS);
  readonly #headers = new Int32Array(MAX_BATCH_RECORDS);
  readonly #types = new Uint8Array(MAX_BATCH_RECORDS);
  length = 0;
  /** Newest timestamp of the last `decode`, of records kept or not; −Infinity if there was none. */
  newest = Number.NEGATIVE_INFINITY;
  /** Records read by the last `decode`, whether kept or not. */
  read = 0;

  constructor(
    private readonly topic: string,
    private readonly partition: number,
  ) {
    this.#topic = Buffer.from(topic, 'utf8');
  }

  clear(): void {
    this.length = 0;
  }

  /**
   * Reads up to `count` envelopes at [start, end), whose offsets go up by one from `first`, and stops early when the
   * columns are full. The position behind the last one read, or −1: malformed.
   */
  decode(
    bytes: Uint8Array,
    start: number,
    end: number,
    count: number,
    first: number,
    wanted: Wanted,
    prints: FingerprintIndex,
  ): number {
    const topic = this.#topic;
    const topicLength = topic.length;
    const { from, until } = wanted;
    const before = this.length;
    let n = before;
    let position = start;
    let lastLow = 0;
    let lastHigh = 0;
    let lastSchema = -2;
    let newest = Number.NEGATIVE_INFINITY;
    let read = 0;
    this.read = 0;
    for (; read < count && n < MAX_BATCH_RECORDS; read++) {
      if (readLong(bytes, position, end) !== topicLength) return -1;
      position = endOfLong();
      if (topicLength > end - position) return -1;
      for (let i = 0; i < topicLength; i++) if (bytes[position + i] !== topic[i]) return -1;
      position += topicLength;
      if (readLong(bytes, position, end) !== this.partition) return -1;
      const offset = readLong(bytes, endOfLong(), end);
      if (offset !== first + read) return -1;
      const timestamp = readLong(bytes, endOfLong(), end);
      if (Number.isNaN(timestamp)) return -1;
      position = endOfLong();
      if (timestamp > newest) newest = timestamp;
      // A byte is enough for the small numbers that may stand here; beyond the end reads undefined, which is neither.
      const type = bytes[position++]!;
      if (position >= end || (type !== 0 && type !== 2)) return -1;

      let keyStart = -1;
      let keyEnd = -1;
      const keyBranch = bytes[position++];
      if (keyBranch === 2) {
        const length = readLong(bytes, position, end);
        if (!(length >= 0)) return -1;
        keyStart = endOfLong();
        if (length > end - keyStart) return -1;
        keyEnd = keyStart + length;
        position = keyEnd;
      } else if (keyBranch !== 0) return -1;

      const headers = position;
      position = walkHeaders(bytes, position, end);
      if (position < 0 || position >= end) return -1;

      let schema = -1;
      const schemaBranch = bytes[position++];
      if (schemaBranch === 2) {
        if (end - position < 8) return -1;
        const low =
          bytes[position]! | (bytes[position + 1]! << 8) | (bytes[position + 2]! << 16) | (bytes[position + 3]! << 24);
        const high =
          bytes[position + 4]! |
          (bytes[position + 5]! << 8) |
          (bytes[position + 6]! << 16) |
          (bytes[position + 7]! << 24);
        if (low !== lastLow || high !== lastHigh || lastSchema === -2) {
          lastSchema = prints.find(low, high);
          lastLow = low;
          lastHigh = high;
        }
        schema = lastSchema;
        position += 8;
      } else if (schemaBranch !== 0) return -1;

      let valueStart = -1;
      let valueEnd = -1;
      if (position >= end) return -1;
      const valueBranch = bytes[position++];
      if (valueBranch === 2) {
        const length = readLong(bytes, position, end);
        if (!(length >= 0)) return -1;
        valueStart = endOfLong();
        if (length > end - valueStart) return -1;
        valueEnd = valueStart + length;
        position = valueEnd;
      } else if (valueBranch !== 0) return -1;

      if (offset < from || offset >= until) continue;
      this.#offsets[n] = offset;
      this.#timestamps[n] = timestamp;
      this.#types[n] = type;
      this.#keys[2 * n] = keyStart;
      this.#keys[2 * n + 1] = keyEnd;
      this.#values[2 * n] = valueStart;
      this.#values[2 * n + 1] = valueEnd;
      this.#schemas[n] = schema;
      this.#headers[n] = headers;
      n++;
    }
    if (read === count && position !== end) return -1;
    this.length = n;
    this.read = read;
    this.newest = newest;
    return position;
  }

  batch(bytes: Buffer, next: number, damage: readonly Damage[]): TraceBatch {
    const { topic, partition, length } = this;
    const headerStarts = this.#headers.subarray(0, length);
    const types = this.#types.subarray(0, length);
    return {
      topic,
      partition,
      length,
      next,
      offsets: this.#offsets.subarray(0, length),
      timestamps: this.#timestamps.subarray(0, length),
      bytes,
      keys: this.#keys.subarray(0, 2 * length),
      values: this.#values.subarray(0, 2 * length),
      schemas: this.#schemas.subarray(0, length),
      headers: (i) => headersAt(bytes, headerStarts[i] ?? -1),
      producerTime: (i) => types[i] === 0,
      damage,
    };
  }
}

/** A batch that also knows whose clock stamped a record. */
export interface TraceBatch extends Batch {
  producerTime(i: number): boolean;
}

const headersAt = (bytes: Buffer, start: number): readonly Header[] => {
  const headers: Header[] = [];
  if (start >= 0)
    walkHeaders(bytes, start, bytes.length, ([from, to], value) =>
      headers.push({
        key: bytes.toString('utf8', from, to),
        value: value === null ? null : Buffer.from(bytes.subarray(value[0], value[1])),
      }),
    );
  return headers;
};
