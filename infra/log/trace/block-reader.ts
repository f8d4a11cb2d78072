import { closeSync, fstatSync, read } from 'node:fs';
import { promisify } from 'node:util';
import { inflateRawSync } from 'node:zlib';
import { endOfLong, readLong } from './avro-bytes.js';
import { SYNC_BYTES } from './container.js';
import type { OpenDataFile } from './data-file.js';
import { MIN_ENVELOPE_BYTES } from './envelope.js';

const readAt = promisify(read);

const WINDOW = 1 << 20;
/** Largest block that is read, packed or not: a size field must not choose our memory. */
export const MAX_BLOCK_BYTES = 64 << 20;
/** Two varints of up to ten bytes. */
const BLOCK_HEAD = 20;

/** A whole block whose frame adds up. Its contents are in `bytes` at [start, end), until the next call that reads. */
export interface Block {
  readonly count: number;
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
  /** Byte offset in the file behind it. */
  readonly after: number;
}

/**
 * wait: the file ends inside of the block (or before it);
 * bad: what stands here is no block;
 * later: it is not in the buffer, and reading was not allowed.
 */
export type NotABlock = 'wait' | 'bad' | 'later';

/** Walks the blocks of one data file through a window of bounded size. */
export class BlockReader {
  /** Byte offset of the next block. */
  position: number;
  #buffer = Buffer.allocUnsafe(WINDOW);
  /** Byte offset in the file of the buffer's first byte. */
  #origin = 0;
  #filled = 0;
  #searchedFrom = -1;
  #searchedTo = 0;

  constructor(readonly file: OpenDataFile) {
    this.position = file.header.blocks;
  }

  /** Bytes behind the last whole block. */
  get remaining(): number {
    return Math.max(0, fstatSync(this.file.descriptor).size - this.position);
  }

  /** The block at `position`, without moving there. */
  async next(mayRead: boolean): Promise<Block | NotABlock> {
    let at = this.position - this.#origin;
    if (at < 0 || this.#filled - at < BLOCK_HEAD) {
      // A small block may still be whole at the window's end: look again below, with what there is.
      if (mayRead) {
        await this.#fill(BLOCK_HEAD);
        at = this.position - this.#origin;
      } else if (at < 0) return 'later';
    }
    const available = this.#filled - at;
    const count = readLong(this.#buffer, at, this.#filled);
    const countEnd = endOfLong();
    const size = Number.isNaN(count) ? Number.NaN : readLong(this.#buffer, countEnd, this.#filled);
    if (Number.isNaN(size)) {
      if (available >= BLOCK_HEAD) return 'bad';
      return mayRead ? 'wait' : 'later';
    }
    const start = endOfLong();
    if (count <= 0 || size <= 0 || size > MAX_BLOCK_BYTES) return 'bad';
    const { codec, sync } = this.file.header;
    if (codec === 'null' && count > size / MIN_ENVELOPE_BYTES) return 'bad';
    const head = start - at;
    const whole = head + size + SYNC_BYTES;
    if (whole > available) {
      if (!mayRead) return 'later';
      await this.#fill(whole);
      at = this.position - this.#origin;
      if (whole > this.#filled - at) return 'wait';
    }
    const from = at + head;
    const end = from + size;
    if (this.#buffer.compare(sync, 0, SYNC_BYTES, end, end + SYNC_BYTES) !== 0) return 'bad';
    const after = this.position + whole;
    if (codec === 'null') return { count, bytes: this.#buffer, start: from, end, after };
    try {
      const bytes = inflateRawSync(this.#buffer.subarray(from, end), { maxOutputLength: MAX_BLOCK_BYTES });
      return count > bytes.length / MIN_ENVELOPE_BYTES ? 'bad' : { count, bytes, start: 0, end: bytes.length, after };
    } catch {
      return 'bad';
    }
  }

  /** Records that a damaged block at `position` says it holds, where that is possible; else 1. */
  async claimed(bytesLost: number): Promise<number> {
    await this.#fill(BLOCK_HEAD);
    const at = this.position - this.#origin;
    const count = readLong(this.#buffer, at, this.#filled);
    return count > 0 && count <= bytesLost / MIN_ENVELOPE_BYTES ? count : 1;
  }

  /** Byte offset behind the next sync marker at or after `position`; null if the file holds none. */
  async findSync(): Promise<number | null> {
    const { descriptor, header } = this.file;
    const { size } = fstatSync(descriptor);
    if (this.#searchedFrom !== this.position || size < this.#searchedTo) {
      this.#searchedFrom = this.position;
      this.#searchedTo = this.position;
    }
    const window = Buffer.allocUnsafe(Math.max(1, Math.min(WINDOW, size - this.#searchedTo)));
    while (size - this.#searchedTo >= SYNC_BYTES) {
      const { bytesRead } = await readAt(descriptor, window, 0, window.length, this.#searchedTo);
      if (bytesRead < SYNC_BYTES) return null;
      const found = window.subarray(0, bytesRead).indexOf(header.sync);
      if (found >= 0) return this.#searchedTo + found + SYNC_BYTES;
      this.#searchedTo += bytesRead - (SYNC_BYTES - 1);
    }
    return null;
  }

  /** Forgets what is buffered: it may have been replaced in the file. */
  discard(): void {
    this.#filled = 0;
    this.#origin = this.position;
  }

  close(): void {
    closeSync(this.file.descriptor);
  }

  /** Brings `want` bytes from `position` on into the buffer, and more where they fit; fewer where the file ends. */
  async #fill(want: number): Promise<void> {
    const at = this.position - this.#origin;
    const kept = at >= 0 && at < this.#filled ? this.#buffer.subarray(at, this.#filled) : this.#buffer.subarray(0, 0);
    if (kept.length >= want) return;
    const room = Math.max(WINDOW, Math.min(want, this.remaining));
    if (room === this.#buffer.length) this.#buffer.copyWithin(0, at, at + kept.length);
    else {
      const buffer = Buffer.allocUnsafe(room);
      kept.copy(buffer);
      this.#buffer = buffer;
    }
    this.#origin = this.position;
    this.#filled = kept.length;
    while (this.#filled < this.#buffer.length) {
      const { bytesRead } = await readAt(
        this.file.descriptor,
        this.#buffer,
        this.#filled,
        this.#buffer.length - this.#filled,
        this.#origin + this.#filled,
      );
      if (bytesRead === 0) break;
      this.#filled += bytesRead;
    }
  }
}
