import { crc32c } from './crc32c.js';

/**
 * Kafka's record batch, version 2 (magic 2), as KIP-98 lays it out:
 * baseOffset i64, length i32, leaderEpoch i32, magic i8, crc u32, attributes i16, lastOffsetDelta i32, baseTimestamp i64,
 * maxTimestamp i64, producerId i64, producerEpoch i16, baseSequence i32, count i32, records.
 */
export const BATCH_HEADER_BYTES = 61;
/** baseOffset and length: what the length does not count. */
export const BATCH_PREFIX_BYTES = 12;
export const MAGIC_AT = 16;
export const CRC_AT = 17;
export const ATTRIBUTES_AT = 21;

export interface WireHeader {
  readonly key: string;
  readonly value: Buffer | null;
}

export interface WireRecord {
  readonly key: Buffer | null;
  /** Written in front of `value`: the wire header with the schema id; null where there is none. */
  readonly frame: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly WireHeader[];
  /** ms */
  readonly timestamp: number;
}

export interface ProducerState {
  readonly id: bigint;
  readonly epoch: number;
  readonly transactional: boolean;
}

/** Bytes that a zigzag varint of `n` takes; |n| below 2^52. */
const varintBytes = (n: number): number => {
  let u = n < 0 ? -2 * n - 1 : 2 * n;
  let bytes = 1;
  for (; u >= 128; u = Math.floor(u / 128)) bytes++;
  return bytes;
};

const writeVarint = (to: Buffer, at: number, n: number): number => {
  let u = n < 0 ? -2 * n - 1 : 2 * n;
  let i = at;
  for (; u >= 128; u = Math.floor(u / 128)) to[i++] = (u % 128) | 0x80;
  to[i++] = u;
  return i;
};

const nullable = (bytes: Uint8Array | null): number => (bytes === null ? 1 : varintBytes(bytes.length) + bytes.length);

const valueLength = (record: WireRecord): number =>
  record.value === null ? -1 : (record.frame?.length ?? 0) + record.value.length;

const bodyBytes = (record: WireRecord, delta: number, elapsed: number): number => {
  const value = valueLength(record);
  let bytes = 1 + varintBytes(elapsed) + varintBytes(delta) + nullable(record.key);
  bytes += varintBytes(value) + Math.max(value, 0) + varintBytes(record.headers.length);
  for (const { key, value: of } of record.headers) {
    const length = Buffer.byteLength(key);
    bytes += varintBytes(length) + length + nullable(of);
  }
  return bytes;
};

/** An upper bound of what the record takes within a batch, to cut batches by. */
export const recordBytes = (record: WireRecord): number => bodyBytes(record, 0, 0) + 16;

const writeNullable = (to: Buffer, at: number, bytes: Buffer | null): number => {
  if (bytes === null) return writeVarint(to, at, -1);
  const start = writeVarint(to, at, bytes.length);
  bytes.copy(to, start);
  return start + bytes.length;
};

/** One uncompressed batch of at least one record. */
export const encodeBatch = (records: readonly WireRecord[], producer: ProducerState, sequence: number): Buffer => {
  const base = records[0]!.timestamp;
  const sizes = records.map((record, i) => bodyBytes(record, i, record.timestamp - base));
  const size = sizes.reduce((sum, body) => sum + varintBytes(body) + body, BATCH_HEADER_BYTES);
  const out = Buffer.allocUnsafe(size);
  out.writeBigInt64BE(0n, 0);
  out.writeInt32BE(size - BATCH_PREFIX_BYTES, 8);
  out.writeInt32BE(-1, 12);
  out[MAGIC_AT] = 2;
  out.writeInt16BE(producer.transactional ? 0x10 : 0, ATTRIBUTES_AT);
  out.writeInt32BE(records.length - 1, 23);
  out.writeBigInt64BE(BigInt(base), 27);
  out.writeBigInt64BE(BigInt(records.reduce((max, { timestamp }) => Math.max(max, timestamp), base)), 35);
  out.writeBigInt64BE(producer.id, 43);
  out.writeInt16BE(producer.epoch, 51);
  out.writeInt32BE(sequence, 53);
  out.writeInt32BE(records.length, 57);
  let at = BATCH_HEADER_BYTES;
  for (const [i, record] of records.entries()) {
    at = writeVarint(out, at, sizes[i]!);
    out[at++] = 0;
    at = writeVarint(out, at, record.timestamp - base);
    at = writeVarint(out, at, i);
    at = writeNullable(out, at, record.key);
    at = writeVarint(out, at, valueLength(record));
    if (record.value !== null) {
      if (record.frame !== null) at += record.frame.copy(out, at);
      at += record.value.copy(out, at);
    }
    at = writeVarint(out, at, record.headers.length);
    for (const { key, value } of record.headers) {
      at = writeVarint(out, at, Buffer.byteLength(key));
      at += out.write(key, at, 'utf8');
      at = writeNullable(out, at, value);
    }
  }
  out.writeUInt32BE(crc32c(out, ATTRIBUTES_AT, size), CRC_AT);
  return out;
};
