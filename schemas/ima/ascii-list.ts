import { AttestreamError } from '../errors.js';
import { type AsciiRecord, asciiHead, asciiRecord } from './ascii-record.js';
import type { ByteOrder } from './entry.js';
import { isZero } from './entry.js';
import { emptySpan, type RecordSpan } from './record-span.js';

/** Text of this size is told by the binary list only. */
const MAX_LINE = 4 * 1024 * 1024;
/** Lines that are looked at for the parts of one record; a name with more newlines is told by the binary list only. */
const MAX_JOINED = 16;
/** Lines that look like records of their own and are tried as parts of this one all the same. */
const MAX_FORGED = 3;

const LITTLE: readonly ByteOrder[] = ['little', 'big'];

/**
 * Reads the list's text form. The kernel prints names raw, so a newline in a name breaks its line and may forge the beginning
 * of another record. What belongs together is told by the hash: lines are joined until the template digest is explained;
 * where none explains it, up to the next line that begins like a record.
 */
export class AsciiListReader {
  readonly #path: string | undefined;
  #orders = LITTLE;
  #byteOrder: ByteOrder | null = null;
  /** Lines that are not part of a record yet, as latin1. */
  #lines: string[] = [];
  #parts: Buffer[] = [];
  #partBytes = 0;
  /** Line number of #lines[0], from 1. */
  #line = 1;
  readonly #span: RecordSpan = emptySpan();

  constructor(path?: string) {
    this.#path = path;
  }

  /** Null until a record proved it. */
  get byteOrder(): ByteOrder | null {
    return this.#byteOrder;
  }

  push(chunk: Buffer, take: (span: RecordSpan) => void): void {
    let at = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, at)) {
      this.#lines.push(this.#whole(chunk.subarray(at, end)));
      at = end + 1;
      if (this.#lines.length > MAX_JOINED) this.#settle(take);
    }
    if (at === chunk.length) return;
    this.#partBytes += chunk.length - at;
    if (this.#partBytes > MAX_LINE) throw this.#invalid(`a line of more than ${MAX_LINE} bytes`);
    this.#parts.push(Buffer.from(chunk.subarray(at)));
  }

  end(take: (span: RecordSpan) => void): void {
    if (this.#partBytes > 0) this.#lines.push(this.#whole(Buffer.alloc(0)));
    while (this.#lines.length > 0) this.#settle(take);
  }

  #whole(end: Buffer): string {
    const line =
      this.#parts.length === 0 ? end.toString('latin1') : Buffer.concat([...this.#parts, end]).toString('latin1');
    this.#parts = [];
    this.#partBytes = 0;
    return line;
  }

  #invalid(what: string): AttestreamError {
    return new AttestreamError('IMA_INVALID', `measurement list: line ${this.#line}: ${what}`, {
      ...(this.#path === undefined ? {} : { path: this.#path }),
    });
  }

  /** Reads the record at the front of the lines. */
  #settle(take: (span: RecordSpan) => void): void {
    const first = this.#lines[0]!;
    const head = asciiHead(first);
    if (head === null) {
      if (first !== '' || this.#lines.length > 1)
        throw this.#invalid(`not a record: ${JSON.stringify(first.slice(0, 60))}`);
      this.#drop(1);
      return;
    }
    // Behind a violation nothing proves where it ends: the next line that looks like a record does.
    const violation = isZero(head.templateDigest);
    let natural = 1;
    while (natural < this.#lines.length && asciiHead(this.#lines[natural]!) === null) natural++;
    if (natural === this.#lines.length && this.#lines[natural - 1] === '' && natural > 1) natural--;
    let joined = head.rest;
    let unproven: { read: AsciiRecord; lines: number } | null = null;
    const most = Math.min(this.#lines.length, MAX_JOINED, violation ? natural : natural + MAX_FORGED);
    for (let lines = 1; lines <= most; lines++) {
      if (lines > 1) joined += `\n${this.#lines[lines - 1]}`;
      const read = asciiRecord({ ...head, rest: joined }, this.#orders);
      if (read?.proven === true) {
        this.#byteOrder ??= read.byteOrder;
        this.#orders = [this.#byteOrder];
        this.#give(read, lines, take);
        return;
      }
      if (read !== null && lines <= natural) unproven = { read, lines };
    }
    if (unproven === null || unproven.lines < natural)
      throw this.#invalid(`the fields do not fit template ${head.template}; the binary list tells more`);
    this.#give(unproven.read, unproven.lines, take);
  }

  #give({ record, byteOrder }: AsciiRecord, lines: number, take: (span: RecordSpan) => void): void {
    const span = this.#span;
    span.bytes = Buffer.concat([record.templateDigest, record.data]);
    span.pcr = record.pcr;
    span.digestStart = 0;
    span.digestEnd = record.templateDigest.length;
    span.template = record.template;
    span.dataStart = span.digestEnd;
    span.dataEnd = span.bytes.length;
    span.byteOrder = byteOrder;
    this.#drop(lines);
    take(span);
  }

  #drop(lines: number): void {
    this.#lines.splice(0, lines);
    this.#line += lines;
  }
}
