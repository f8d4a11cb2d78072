import { AttestreamError } from '../../schemas/errors.js';

const TWO_32 = 2 ** 32;

/** Reads Avro's binary encoding within bounds. Throws RECORD_INVALID, with the offset in the body. */
export class AvroSource {
  bytes: Uint8Array = new Uint8Array(0);
  position = 0;
  #start = 0;
  #end = 0;
  /** Halves of the integer that `long` read last. */
  low = 0;
  high = 0;

  set(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes;
    this.position = this.#start = start;
    this.#end = end;
  }

  /** Reads a zigzag varint into `low` and `high`. Values beyond ±2^53 are refused as everywhere in attestream. */
  long(): void {
    const { bytes } = this;
    const first = bytes[this.position]!;
    if (first < 0x80 && this.position < this.#end) {
      this.position++;
      this.high = -(first & 1);
      this.low = (first >>> 1) ^ this.high;
      return;
    }
    let low = 0;
    let high = 0;
    for (let shift = 0; ; shift += 7) {
      if (this.position >= this.#end || shift > 63) this.fail('an integer does not end');
      const byte = bytes[this.position++]!;
      const part = byte & 0x7f;
      if (shift < 28) low |= part << shift;
      else if (shift === 28) {
        low |= part << 28;
        high = part >>> 4;
      } else high |= part << (shift - 32);
      if (byte < 0x80) break;
    }
    const sign = -(low & 1);
    this.low = ((low >>> 1) | (high << 31)) ^ sign;
    this.high = (high >>> 1) ^ sign;
    if (this.high < -0x200000 || this.high > 0x1fffff) this.fail('an integer lies beyond 2^53');
  }

  /** The integer that `long` reads, as a number. */
  number(): number {
    this.long();
    return this.high * TWO_32 + (this.low >>> 0);
  }

  /** Takes `size` bytes; returns where they begin. */
  take(size: number): number {
    const at = this.position;
    if (size < 0 || size > this.#end - at) this.fail(`${size} bytes are announced, ${this.#end - at} are left`);
    this.position = at + size;
    return at;
  }

  /** Items of the next block of an array or map; 0 ends it. The block's size in bytes, where given, is of no use here. */
  block(): number {
    const items = this.number();
    if (items < 0) this.number();
    const count = Math.abs(items);
    // Every item takes at least one byte, so a larger count is a lie.
    if (count > this.#end - this.position)
      this.fail(`${count} items are announced, ${this.#end - this.position} bytes are left`);
    return count;
  }

  end(): void {
    if (this.position !== this.#end) this.fail(`${this.#end - this.position} bytes are left over`);
  }

  fail(reason: string): never {
    throw new AttestreamError('RECORD_INVALID', `not readable by its schema: ${reason}`, {
      offset: this.position - this.#start,
    });
  }
}
