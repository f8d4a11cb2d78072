/** A request as kafkajs' connections send it: they ask for `buf` and write the frame around it. */
export interface WireRequest {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly apiName: string;
  encode(): Promise<Encoded>;
}

export interface Encoded {
  readonly buf: Buffer;
  readonly buffer: Buffer;
  size(): number;
}

/** Writes the few requests that are not left to kafkajs. */
export class RequestWriter {
  readonly #parts: Buffer[] = [];

  i8(value: number): this {
    this.#parts.push(Buffer.from([value & 0xff]));
    return this;
  }
  i16(value: number): this {
    const part = Buffer.allocUnsafe(2);
    part.writeInt16BE(value);
    this.#parts.push(part);
    return this;
  }
  i32(value: number): this {
    const part = Buffer.allocUnsafe(4);
    part.writeInt32BE(value);
    this.#parts.push(part);
    return this;
  }
  i64(value: number): this {
    const part = Buffer.allocUnsafe(8);
    part.writeBigInt64BE(BigInt(value));
    this.#parts.push(part);
    return this;
  }
  string(value: string | null): this {
    if (value === null) return this.i16(-1);
    const part = Buffer.from(value, 'utf8');
    this.i16(part.length);
    this.#parts.push(part);
    return this;
  }
  bytes(value: Buffer): this {
    this.i32(value.length);
    this.#parts.push(value);
    return this;
  }
  done(): Encoded {
    const buffer = Buffer.concat(this.#parts);
    return { buf: buffer, buffer, size: () => buffer.length };
  }
}

/** Reads a response; throws a RangeError past its end. */
export class ResponseReader {
  #at = 0;
  constructor(readonly raw: Buffer) {}

  i16(): number {
    this.#at += 2;
    return this.raw.readInt16BE(this.#at - 2);
  }
  i32(): number {
    this.#at += 4;
    return this.raw.readInt32BE(this.#at - 4);
  }
  i64(): bigint {
    this.#at += 8;
    return this.raw.readBigInt64BE(this.#at - 8);
  }
  string(): string {
    const length = Math.max(this.i16(), 0);
    this.#at += length;
    return this.raw.toString('utf8', this.#at - length, this.#at);
  }
  /** A view, not a copy. */
  bytes(): Buffer {
    const length = Math.max(this.i32(), 0);
    this.#at += length;
    if (this.#at > this.raw.length) throw new RangeError('the response is cut off');
    return this.raw.subarray(this.#at - length, this.#at);
  }
}

const TYPES: Readonly<Record<number, string>> = {
  1: 'OFFSET_OUT_OF_RANGE',
  2: 'CORRUPT_MESSAGE',
  3: 'UNKNOWN_TOPIC_OR_PARTITION',
  5: 'LEADER_NOT_AVAILABLE',
  6: 'NOT_LEADER_FOR_PARTITION',
  7: 'REQUEST_TIMED_OUT',
  8: 'BROKER_NOT_AVAILABLE',
  9: 'REPLICA_NOT_AVAILABLE',
  10: 'MESSAGE_TOO_LARGE',
  13: 'NETWORK_EXCEPTION',
  18: 'RECORD_LIST_TOO_LARGE',
  19: 'NOT_ENOUGH_REPLICAS',
  20: 'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  29: 'TOPIC_AUTHORIZATION_FAILED',
  32: 'INVALID_TIMESTAMP',
  45: 'OUT_OF_ORDER_SEQUENCE_NUMBER',
  46: 'DUPLICATE_SEQUENCE_NUMBER',
  47: 'INVALID_PRODUCER_EPOCH',
  48: 'INVALID_TXN_STATE',
  49: 'INVALID_PRODUCER_ID_MAPPING',
  51: 'CONCURRENT_TRANSACTIONS',
  53: 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  56: 'KAFKA_STORAGE_ERROR',
  59: 'UNKNOWN_PRODUCER_ID',
  74: 'FENCED_LEADER_EPOCH',
  75: 'UNKNOWN_LEADER_EPOCH',
  76: 'UNSUPPORTED_COMPRESSION_TYPE',
  78: 'OFFSET_NOT_AVAILABLE',
  87: 'INVALID_RECORD',
  90: 'PRODUCER_FENCED',
};

/** An error code in a broker's answer, under the names that kafkajs uses. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly type: string;
  constructor(readonly code: number) {
    const type = TYPES[code] ?? `CODE_${code}`;
    super(type);
    this.type = type;
  }
}
