import { BatchBuilder, type DecodedRun, NO_ID, RAW_HEADER, readVarint } from './batch-builder.js';
import { inflate } from './codecs.js';
import { crc32c } from './crc32c.js';
import { ATTRIBUTES_AT, BATCH_HEADER_BYTES, BATCH_PREFIX_BYTES, CRC_AT, MAGIC_AT } from './record-batch.js';

/** A run ends at this many records or bytes, whichever comes first. */
const RUN_RECORDS = 16_384;
const RUN_BYTES = 4 * 1024 * 1024;

export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: number;
}

/** What one fetch gave of one partition. */
export interface Fetched {
  /** Record batches, the last of which may be cut off. */
  readonly records: Buffer;
  readonly aborted: readonly AbortedTransaction[];
}

const offsetAt = (bytes: Buffer, at: number): number => bytes.readInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);

/** Calls `visit` with the bounds of every whole record batch. A length that cannot be ends the walk. */
const wholeBatches = function* (records: Buffer): Generator<readonly [start: number, end: number]> {
  for (let at = 0; at + BATCH_PREFIX_BYTES <= records.length; ) {
    const end = at + BATCH_PREFIX_BYTES + records.readInt32BE(at + 8);
    if (end > records.length || end < at + BATCH_HEADER_BYTES) return;
    yield [at, end];
    at = end;
  }
};

const afterBatch = (records: Buffer, start: number): number =>
  offsetAt(records, start) + Math.max(records.readInt32BE(start + 23), 0) + 1;

/** Where the next fetch begins; `from` if no whole batch came. Looks at headers only, so that it can be asked for at once. */
export const nextOffset = (records: Buffer, from: number): number => {
  let next = from;
  for (const [start] of wholeBatches(records)) next = Math.max(next, afterBatch(records, start));
  return next;
};

const span = (cursor: { at: number }, length: number, end: number): [number, number] => {
  if (length < 0) return [-1, -1];
  if (length > end - cursor.at) throw new Error('a field leaves its record');
  const start = cursor.at;
  cursor.at += length;
  return [start, cursor.at];
};

/** True if the first header says that the value has no writer schema although it looks as if. */
const isRaw = (bytes: Buffer, start: number, end: number): boolean => {
  const cursor = { at: start };
  if (readVarint(bytes, cursor, end) < 1) return false;
  const size = readVarint(bytes, cursor, end);
  return size === RAW_HEADER.length && bytes.toString('latin1', cursor.at, cursor.at + size) === RAW_HEADER;
};

interface BatchHead {
  readonly base: number;
  readonly count: number;
  readonly timestamp: number;
  /** The log's own time: one for all records. */
  readonly appended: number | null;
}

const addRecords = (to: BatchBuilder, bytes: Buffer, head: BatchHead, from: number, until: number): void => {
  const cursor = { at: 0 };
  for (let i = 0; i < head.count; i++) {
    const size = readVarint(bytes, cursor, bytes.length);
    const end = cursor.at + size;
    if (size < 0 || end > bytes.length) throw new Error('a record leaves its batch');
    cursor.at++;
    const elapsed = readVarint(bytes, cursor, end);
    const offset = head.base + readVarint(bytes, cursor, end);
    const key = span(cursor, readVarint(bytes, cursor, end), end);
    const value = span(cursor, readVarint(bytes, cursor, end), end);
    if (offset >= from && offset < until) {
      let id = NO_ID;
      if (value[0] >= 0 && value[1] - value[0] >= 5 && bytes[value[0]] === 0) {
        if (!isRaw(bytes, cursor.at, end)) id = bytes.readInt32BE(value[0] + 1);
      }
      to.add(offset, head.appended ?? head.timestamp + elapsed, key, value, [cursor.at, end], id);
    }
    cursor.at = end;
  }
};

/** Tells which transactional batches belong to aborted transactions; fed in offset order. */
class Aborted {
  readonly #waiting: AbortedTransaction[];
  readonly #producers = new Set<bigint>();
  constructor(aborted: readonly AbortedTransaction[]) {
    this.#waiting = [...aborted].sort((a, b) => b.firstOffset - a.firstOffset);
  }
  reach(offset: number): void {
    for (
      let next = this.#waiting.at(-1);
      next !== undefined && next.firstOffset <= offset;
      next = this.#waiting.at(-1)
    ) {
      this.#producers.add(next.producerId);
      this.#waiting.pop();
    }
  }
  has(producer: bigint): boolean {
    return this.#producers.has(producer);
  }
  ended(producer: bigint): void {
    this.#producers.delete(producer);
  }
}

const LOG_APPEND_TIME = 0x08;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;

/**
 * The committed records with offsets in [from, until), in runs. One record batch is inflated at a time, so that memory is bounded
 * by the fetch and one inflated batch. What cannot be read (checksum, codec, layout) becomes damage of its run.
 */
export const decodeFetched = function* (fetched: Fetched, from: number, until: number): Generator<DecodedRun> {
  const { records } = fetched;
  const aborted = new Aborted(fetched.aborted);
  let run = new BatchBuilder();
  for (const [start, end] of wholeBatches(records)) {
    const base = offsetAt(records, start);
    const after = afterBatch(records, start);
    if (base >= until) break;
    if (after <= from) continue;
    const attributes = records.readInt16BE(start + ATTRIBUTES_AT);
    const producer = records.readBigInt64BE(start + 43);
    aborted.reach(base);
    let mark: ReturnType<BatchBuilder['chunk']> | undefined;
    try {
      const magic = records[start + MAGIC_AT];
      if (magic !== 2) throw new Error(`message format ${magic} is not read`);
      if (records.readUInt32BE(start + CRC_AT) !== crc32c(records, start + ATTRIBUTES_AT, end))
        throw new Error('its checksum does not match');
      if ((attributes & CONTROL) !== 0) aborted.ended(producer);
      else if ((attributes & TRANSACTIONAL) === 0 || !aborted.has(producer)) {
        const bytes = inflate(attributes & 7, records.subarray(start + BATCH_HEADER_BYTES, end));
        mark = run.chunk(bytes);
        const timestamp = offsetAt(records, start + 27);
        const appended = (attributes & LOG_APPEND_TIME) !== 0 ? offsetAt(records, start + 35) : null;
        addRecords(run, bytes, { base, count: records.readInt32BE(start + 57), timestamp, appended }, from, until);
      }
    } catch (error) {
      if (mark !== undefined) run.rollback(mark);
      const message = `a record batch cannot be read: ${(error as Error).message}`;
      run.lost({ from: Math.max(base, from), to: Math.min(after, until), code: 'RECORD_INVALID', message });
    }
    run.passed(Math.min(after, until));
    if (run.length >= RUN_RECORDS || run.bytes >= RUN_BYTES) {
      if (!run.empty) yield run.done();
      run = new BatchBuilder();
    }
  }
  if (!run.empty) yield run.done();
};
