import type { Batch, Damage, Header } from '../event-log.js';

const INITIAL = 1024;

/** Zigzag varint at `cursor.at`, which moves; at most 10 bytes. Throws an Error past `end` or beyond 2^53. */
export const readVarint = (bytes: Buffer, cursor: { at: number }, end: number): number => {
  let u = 0;
  let scale = 1;
  for (let i = 0; i < 10; i++) {
    if (cursor.at >= end) throw new Error('a number is cut off');
    const byte = bytes[cursor.at++]!;
    u += (byte & 0x7f) * scale;
    if (byte < 0x80) {
      if (u > Number.MAX_SAFE_INTEGER) throw new Error('a number is too large');
      return u % 2 === 0 ? u / 2 : -(u + 1) / 2;
    }
    scale *= 128;
  }
  throw new Error('a number has no end');
};

/** Marks a value without writer schema that could be taken for one with: written by us only, and hidden from readers. */
export const RAW_HEADER = 'raw';

/** Reads the headers between two positions; stops quietly where they are damaged. */
export const readHeaders = (bytes: Buffer, start: number, end: number): readonly Header[] => {
  const headers: Header[] = [];
  const cursor = { at: start };
  try {
    const count = readVarint(bytes, cursor, end);
    for (let i = 0; i < count; i++) {
      const size = readVarint(bytes, cursor, end);
      if (size < 0 || cursor.at + size > end) break;
      const key = bytes.toString('utf8', cursor.at, cursor.at + size);
      cursor.at += size;
      const length = readVarint(bytes, cursor, end);
      if (length > end - cursor.at) break;
      const value = length < 0 ? null : bytes.subarray(cursor.at, cursor.at + length);
      cursor.at += Math.max(length, 0);
      if (key !== RAW_HEADER) headers.push({ key, value });
    }
  } catch {
    return headers;
  }
  return headers;
};

/** Raw id of a value without Confluent header. */
export const NO_ID = -1;

class Growing {
  at: Int32Array = new Int32Array(INITIAL);
  length = 0;
  push(value: number): void {
    if (this.length === this.at.length) {
      const grown = new Int32Array(this.length * 2);
      grown.set(this.at);
      this.at = grown;
    }
    this.at[this.length++] = value;
  }
  done(): Int32Array {
    return this.at.subarray(0, this.length);
  }
}

/** A decoded run whose registry ids are not yet turned into indexes of the log's schema table. */
export interface DecodedRun {
  readonly length: number;
  readonly next: number;
  /** Registry id per record, NO_ID where there is none. */
  readonly ids: Int32Array;
  /** `index(id)` gives the schema's index, -1 if unknown. */
  batch(topic: string, partition: number, index: (id: number) => number): Batch;
}

/** Collects records of successive record batches without an object per record. */
export class BatchBuilder {
  #offsets: number[] = [];
  #timestamps: number[] = [];
  #keys = new Growing();
  #values = new Growing();
  #headers = new Growing();
  #ids = new Growing();
  #chunks: Buffer[] = [];
  #damage: Damage[] = [];
  #bytes = 0;
  #next = 0;

  get length(): number {
    return this.#offsets.length;
  }
  get bytes(): number {
    return this.#bytes;
  }
  get empty(): boolean {
    return this.#offsets.length === 0 && this.#damage.length === 0;
  }

  /** Bytes that the records added next lie in. Returns a mark to `rollback` to. */
  chunk(bytes: Buffer): { length: number; bytes: number; chunks: number } {
    const mark = { length: this.length, bytes: this.#bytes, chunks: this.#chunks.length };
    this.#chunks.push(bytes);
    this.#bytes += bytes.length;
    return mark;
  }

  /** Forgets what was added since the mark. */
  rollback(mark: { length: number; bytes: number; chunks: number }): void {
    this.#offsets.length = mark.length;
    this.#timestamps.length = mark.length;
    this.#keys.length = 2 * mark.length;
    this.#values.length = 2 * mark.length;
    this.#headers.length = 2 * mark.length;
    this.#ids.length = mark.length;
    this.#chunks.length = mark.chunks;
    this.#bytes = mark.bytes;
  }

  /** Positions count from the start of the newest chunk; a start of -1 is null. */
  add(
    offset: number,
    timestamp: number,
    key: readonly [number, number],
    value: readonly [number, number],
    headers: readonly [number, number],
    id: number,
  ): void {
    const base = this.#bytes - this.#chunks[this.#chunks.length - 1]!.length;
    const pair = (to: Growing, [start, end]: readonly [number, number]): void => {
      to.push(start < 0 ? -1 : base + start);
      to.push(start < 0 ? -1 : base + end);
    };
    this.#offsets.push(offset);
    this.#timestamps.push(timestamp);
    pair(this.#keys, key);
    pair(this.#values, value);
    pair(this.#headers, headers);
    this.#ids.push(id);
  }

  lost(damage: Damage): void {
    this.#damage.push(damage);
  }

  passed(next: number): void {
    this.#next = next;
  }

  /** The run so far; the builder is spent. */
  done(): DecodedRun {
    const length = this.length;
    const bytes = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    const offsets = Float64Array.from(this.#offsets);
    const timestamps = Float64Array.from(this.#timestamps);
    const keys = this.#keys.done();
    const values = this.#values.done();
    const places = this.#headers.done();
    const ids = this.#ids.done();
    const next = this.#next;
    const damage = this.#damage;
    return {
      length,
      next,
      ids,
      batch(topic, partition, index) {
        const schemas = new Int32Array(length);
        let last = NO_ID;
        let found = -1;
        for (let i = 0; i < length; i++) {
          const id = ids[i]!;
          if (id !== last) {
            last = id;
            found = id === NO_ID ? -1 : index(id);
          }
          schemas[i] = found;
          if (found >= 0) values[2 * i] = values[2 * i]! + 5;
        }
        const headers = (i: number): readonly Header[] => readHeaders(bytes, places[2 * i]!, places[2 * i + 1]!);
        return { topic, partition, length, next, offsets, timestamps, bytes, keys, values, schemas, damage, headers };
      },
    };
  }
}
