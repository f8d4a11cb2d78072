/** Avro's binary encoding of what containers and envelopes hold, written by hand: one pass, no object per record. */
export class AvroBytes {
  #buffer = Buffer.allocUnsafe(64 * 1024);
  length = 0;

  /** The bytes so far; valid until the next write. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.length);
  }

  clear(): void {
    this.length = 0;
    if (this.#buffer.length > 4 << 20) this.#buffer = Buffer.allocUnsafe(64 * 1024);
  }

  long(value: number): void {
    this.#room(10);
    const buffer = this.#buffer;
    if (value >= -0x40000000 && value < 0x40000000) {
      let n = ((value << 1) ^ (value >> 31)) >>> 0;
      while (n > 127) {
        buffer[this.length++] = (n & 127) | 128;
        n >>>= 7;
      }
      buffer[this.length++] = n;
      return;
    }
    let n = value < 0 ? -2 * value - 1 : 2 * value;
    while (n > 127) {
      buffer[this.length++] = (n % 128) | 128;
      n = Math.floor(n / 128);
    }
    buffer[this.length++] = n;
  }

  /** Bytes with their length before them: Avro `bytes` and `string`. */
  sized(part: Uint8Array): void {
    this.long(part.length);
    this.raw(part);
  }

  raw(part: Uint8Array): void {
    this.#room(part.length);
    this.#buffer.set(part, this.length);
    this.length += part.length;
  }

  text(value: string): void {
    this.sized(Buffer.from(value, 'utf8'));
  }

  byte(value: number): void {
    this.#room(1);
    this.#buffer[this.length++] = value;
  }

  #room(bytes: number): void {
    if (this.length + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.length + bytes, 2 * this.#buffer.length));
    this.#buffer.copy(larger, 0, 0, this.length);
    this.#buffer = larger;
  }
}

/** Where the last `readLong` ended. A plain variable, as reading returns one number and must not allocate. */
let after = 0;

export const endOfLong = (): number => after;

/**
 * A zigzag varint. NaN where the bytes end before it, or where it exceeds 2^52 or ten bytes.
 * `endOfLong()` tells where it ended.
 */
export const readLong = (bytes: Uint8Array, start: number, end: number): number => {
  let position = start;
  if (position >= end) return Number.NaN;
  let byte = bytes[position++]!;
  if (byte < 128) {
    after = position;
    return (byte >>> 1) ^ -(byte & 1);
  }
  let low = byte & 127;
  for (let shift = 7; shift < 28; shift += 7) {
    if (position >= end) return Number.NaN;
    byte = bytes[position++]!;
    low |= (byte & 127) << shift;
    if (byte < 128) {
      after = position;
      return (low >>> 1) ^ -(low & 1);
    }
  }
  let high = 0;
  for (let scale = 1; scale <= 2 ** 35; scale *= 128) {
    if (position >= end) return Number.NaN;
    byte = bytes[position++]!;
    high += (byte & 127) * scale;
    if (byte < 128) {
      after = position;
      const n = high * 2 ** 28 + low;
      if (n > Number.MAX_SAFE_INTEGER) return Number.NaN;
      return n % 2 === 0 ? n / 2 : -(n + 1) / 2;
    }
  }
  return Number.NaN;
};
