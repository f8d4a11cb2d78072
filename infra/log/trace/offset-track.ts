import { MIN_ENVELOPE_BYTES } from './envelope.js';

/** Follows the offsets of a file's blocks, which run without a hole unless bytes were damaged. */
export class OffsetTrack {
  /** Offset that the next block must begin with. */
  next: number;
  #lostBytes = 0;
  #lostRecords = 0;

  constructor(base: number) {
    this.next = base;
  }

  /** True while bytes were skipped since the last good block. */
  get broken(): boolean {
    return this.#lostBytes > 0;
  }

  /** Where the records would go on if the damaged blocks held what they claim. */
  get guess(): number {
    return this.next + this.#lostRecords;
  }

  /** Whether a block that begins with `first` may stand here: skipped bytes cannot have hidden more than fits into them. */
  fits(first: number): boolean {
    if (first === this.next) return true;
    return first > this.next && first - this.next <= this.#lostBytes / MIN_ENVELOPE_BYTES;
  }

  lose(bytes: number, records: number): void {
    this.#lostBytes += bytes;
    this.#lostRecords += records;
  }

  accept(first: number, count: number): void {
    this.next = first + count;
    this.#lostBytes = 0;
    this.#lostRecords = 0;
  }
}
