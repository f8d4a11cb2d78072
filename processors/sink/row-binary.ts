const INITIAL_BYTES = 64 * 1024;
/** Below this, a loop is quicker than a call into native code. */
const SHORT_COPY = 96;
const TWO_32 = 2 ** 32;

/**
 * Rows in ClickHouse's RowBinary format, growing in one buffer: numbers little-endian, strings and arrays behind an
 * unsigned LEB128 count, Nullable behind one byte (1 = null).
 */
export class RowBinary {
  bytes: Buffer;
  length = 0;

  constructor(capacity = INITIAL_BYTES) {
    this.bytes = Buffer.allocUnsafe(Math.max(capacity, 64));
  }

  /** Makes sure that `n` more bytes fit. */
  room(n: number): void {
    if (this.length + n <= this.bytes.length) return;
    const wider = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, this.length + n));
    this.bytes.copy(wider, 0, 0, this.length);
    this.bytes = wider;
  }

  u8(value: number): void {
    this.room(1);
    this.bytes[this.length++] = value;
  }

  u32(value: number): void {
    this.room(4);
    this.#u32(value);
  }

  /** A 64-bit integer by its halves. */
  halves(low: number, high: number): void {
    this.room(8);
    this.#u32(low);
    this.#u32(high);
  }

  /** A 64-bit integer, signed or not, within ±2^53. */
  i64(value: number): void {
    this.halves(value, Math.floor(value / TWO_32));
  }

  /** Count of a string's bytes or an array's items: a non-negative safe integer. */
  count(value: number): void {
    this.room(8);
    let rest = value;
    while (rest >= 0x80) {
      this.bytes[this.length++] = (rest & 0x7f) | 0x80;
      rest = rest < TWO_32 / 2 ? rest >>> 7 : Math.floor(rest / 128);
    }
    this.bytes[this.length++] = rest;
  }

  /** Bytes as they are: FixedString, or rows written elsewhere. */
  raw(from: Uint8Array, start: number, end: number): void {
    const size = end - start;
    this.room(size);
    const { bytes } = this;
    let at = this.length;
    if (size <= SHORT_COPY) for (let i = start; i < end; i++) bytes[at++] = from[i]!;
    else bytes.set(start === 0 && end === from.length ? from : from.subarray(start, end), at);
    this.length += size;
  }

  string(from: Uint8Array, start: number, end: number): void {
    this.count(end - start);
    this.raw(from, start, end);
  }

  /** Moves the bytes from `from` on by `by`, to widen a count that turned out larger. */
  shift(from: number, by: number): void {
    this.room(by);
    this.bytes.copyWithin(from + by, from, this.length);
    this.length += by;
  }

  /** The 64-bit integer that was written at `at`, as a number. */
  i64At(at: number): number {
    return this.bytes.readInt32LE(at + 4) * TWO_32 + this.bytes.readUInt32LE(at);
  }

  #u32(value: number): void {
    const { bytes } = this;
    const at = this.length;
    bytes[at] = value;
    bytes[at + 1] = value >>> 8;
    bytes[at + 2] = value >>> 16;
    bytes[at + 3] = value >>> 24;
    this.length = at + 4;
  }
}
