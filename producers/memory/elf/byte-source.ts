import { fstatSync, readSync } from 'node:fs';
import { AttestreamError, type ErrorCode } from '../../../schemas/errors.js';

/** Bytes of a file that may be hostile: reads are clamped to what there is. */
export interface ByteSource {
  readonly size: number;
  /** Up to `length` bytes from `offset`; fewer at the end. */
  read(offset: number, length: number): Buffer;
  /** The same into a buffer that is there already; number of bytes, fewer at the end. */
  readonly fill?: (into: Buffer, offset: number) => number;
}

export const sourceOfBuffer = (bytes: Buffer): ByteSource => ({
  size: bytes.length,
  read: (offset, length) => bytes.subarray(Math.min(offset, bytes.length), Math.min(offset + length, bytes.length)),
  fill: (into, offset) => bytes.copy(into, 0, Math.min(offset, bytes.length)),
});

const PAGE = 16 * 1024;
const PAGES = 16;
const SMALL = 4096;

/**
 * The descriptor stays the caller's. Small reads, of which decoding code and names makes thousands, come from a few kept pages:
 * a file that changes meanwhile is told as it was, as the process that mapped it privately has it.
 */
export const sourceOfFile = (fd: number): ByteSource => {
  const size = fstatSync(fd).size;
  const pages = new Map<number, Buffer>();
  const fill = (bytes: Buffer, offset: number): number => {
    let done = 0;
    while (done < bytes.length) {
      const got = readSync(fd, bytes, done, bytes.length - done, offset + done);
      if (got === 0) break;
      done += got;
    }
    return done;
  };
  const direct = (offset: number, length: number): Buffer => {
    const bytes = Buffer.allocUnsafeSlow(length);
    return bytes.subarray(0, fill(bytes, offset));
  };
  const page = (number: number): Buffer => {
    const known = pages.get(number);
    if (known !== undefined) return known;
    const bytes = direct(number * PAGE, Math.min(PAGE, size - number * PAGE));
    if (pages.size >= PAGES) pages.delete(pages.keys().next().value!);
    pages.set(number, bytes);
    return bytes;
  };
  return {
    size,
    fill,
    read(offset, length) {
      const wanted = Math.max(0, Math.min(length, size - offset));
      if (!(wanted > 0 && offset >= 0)) return Buffer.alloc(0);
      if (wanted > SMALL) return direct(offset, wanted);
      const number = Math.floor(offset / PAGE);
      const at = offset - number * PAGE;
      const first = page(number).subarray(at, at + wanted);
      if (at + wanted <= PAGE || first.length < PAGE - at) return first;
      return Buffer.concat([first, page(number + 1).subarray(0, wanted - first.length)]);
    },
  };
};

/** Little-endian reader over one buffer; every step past the end is an error with the code it was made with. */
export class Cursor {
  constructor(
    readonly bytes: Buffer,
    public at: number,
    readonly end: number,
    readonly code: ErrorCode,
  ) {
    if (!(at >= 0 && at <= end && end <= bytes.length)) this.fail('a range outside of its section');
  }

  fail(what: string): never {
    throw new AttestreamError(this.code, what, { offset: this.at });
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  skip(length: number): void {
    if (!(length >= 0 && length <= this.end - this.at)) this.fail('data ends early');
    this.at += length;
  }

  #take(length: number): number {
    const at = this.at;
    this.skip(length);
    return at;
  }

  u8(): number {
    return this.bytes[this.#take(1)]!;
  }
  i8(): number {
    return this.bytes.readInt8(this.#take(1));
  }
  u16(): number {
    return this.bytes.readUInt16LE(this.#take(2));
  }
  u32(): number {
    return this.bytes.readUInt32LE(this.#take(4));
  }
  i32(): number {
    return this.bytes.readInt32LE(this.#take(4));
  }
  /** Beyond 2^53 the value is rounded: no address, offset or size of a user program lies there. */
  u64(): number {
    const at = this.#take(8);
    return this.bytes.readUInt32LE(at) + this.bytes.readUInt32LE(at + 4) * 2 ** 32;
  }
  i64(): number {
    return Number(this.bytes.readBigInt64LE(this.#take(8)));
  }

  uleb(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    return this.fail('a LEB128 number is too long');
  }

  sleb(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) return byte & 0x40 ? value - scale : value;
    }
    return this.fail('a LEB128 number is too long');
  }

  /** NUL-terminated, at most `limit` bytes are kept. */
  cstring(limit = 4096): string {
    const start = this.at;
    const nul = this.bytes.indexOf(0, start);
    if (nul < 0 || nul >= this.end) this.fail('a string without end');
    this.at = nul + 1;
    return this.bytes.toString('utf8', start, Math.min(nul, start + limit));
  }
}

/** The NUL-terminated string at `offset`, '' if it lies outside. */
export const stringAt = (bytes: Buffer, offset: number, limit = 4096): string => {
  if (!(offset >= 0 && offset < bytes.length)) return '';
  const nul = bytes.indexOf(0, offset);
  return bytes.toString('utf8', offset, Math.min(nul < 0 ? bytes.length : nul, offset + limit));
};
