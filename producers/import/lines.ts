import { isUtf8 } from 'node:buffer';
import type { FormatReader, RowSink } from './observation.js';

/** Longest line that is read. A longer one is refused by its beginning and passed over. */
export const MAX_LINE_BYTES = 1024 * 1024;

const NEWLINE = 0x0a;

/** Takes lines without their terminator, numbered from 1. */
export type LineConsumer = (line: number, text: string) => void;

/**
 * Splits bytes into lines of UTF-8. A line that is not UTF-8, holds NUL, or is longer than `MAX_LINE_BYTES` goes to
 * `sink.reject`; its neighbours are not touched by it.
 */
export class Lines implements FormatReader {
  readonly #consume: LineConsumer;
  readonly #sink: RowSink;
  #carry: Buffer[] = [];
  #carried = 0;
  #line = 0;
  /** Inside of a line that was refused for its length. */
  #skipping = false;

  constructor(consume: LineConsumer, sink: RowSink) {
    this.#consume = consume;
    this.#sink = sink;
  }

  push(chunk: Buffer): void {
    let rest = chunk;
    if (this.#skipping) {
      const end = rest.indexOf(NEWLINE);
      if (end < 0) return;
      this.#skipping = false;
      rest = rest.subarray(end + 1);
    }
    const last = rest.lastIndexOf(NEWLINE);
    if (last < 0) {
      this.#keep(rest);
      return;
    }
    const whole = rest.subarray(0, last);
    this.#lines(this.#carried === 0 ? whole : Buffer.concat([...this.#carry, whole]));
    this.#carry = [];
    this.#carried = 0;
    this.#keep(rest.subarray(last + 1));
  }

  end(): void {
    if (this.#carried === 0) return;
    const whole = Buffer.concat(this.#carry);
    this.#carry = [];
    this.#carried = 0;
    this.#lines(whole);
  }

  #keep(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#carry.push(Buffer.from(bytes));
    this.#carried += bytes.length;
    if (this.#carried <= MAX_LINE_BYTES) return;
    this.#tooLong(Buffer.concat(this.#carry).subarray(0, 4096));
    this.#carry = [];
    this.#carried = 0;
    this.#skipping = true;
  }

  #tooLong(beginning: Buffer): void {
    this.#sink.reject(++this.#line, beginning, 'IMPORT_ROW', `the line is longer than ${MAX_LINE_BYTES} bytes`);
  }

  /** Whole lines, the last one without its terminator. */
  #lines(bytes: Buffer): void {
    // One check and one decode for the lot; only a lot with a flaw in it is taken line by line.
    if (bytes.length <= MAX_LINE_BYTES && isUtf8(bytes) && bytes.indexOf(0) < 0) {
      const text = bytes.toString('utf8');
      let start = 0;
      for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
        this.#give(text.slice(start, end));
        start = end + 1;
      }
      this.#give(text.slice(start));
      return;
    }
    let start = 0;
    while (start <= bytes.length) {
      const found = bytes.indexOf(NEWLINE, start);
      const end = found < 0 ? bytes.length : found;
      const line = bytes.subarray(start, end);
      if (line.length > MAX_LINE_BYTES) this.#tooLong(line.subarray(0, 4096));
      else if (!isUtf8(line)) this.#sink.reject(++this.#line, line, 'IMPORT_ENCODING', 'the line is not UTF-8');
      else if (line.indexOf(0) >= 0)
        this.#sink.reject(++this.#line, line, 'IMPORT_ENCODING', 'the line holds NUL bytes');
      else this.#give(line.toString('utf8'));
      start = end + 1;
    }
  }

  #give(text: string): void {
    const number = ++this.#line;
    this.#consume(number, text.endsWith('\r') ? text.slice(0, -1) : text);
  }
}
