import { AsciiListReader } from './ascii-list.js';
import type { BinaryLayout } from './binary-layout.js';
import { BinaryListReader } from './binary-list.js';
import type { ByteOrder, ImaRecord } from './entry.js';
import { type RecordSpan, recordOf } from './record-span.js';

export type ListFormat = 'auto' | 'binary' | 'ascii';

export interface ListOptions extends Partial<BinaryLayout> {
  readonly format?: ListFormat;
  /** Of the file, for messages. */
  readonly path?: string;
}

/** Text begins with the digits of a PCR and a space, which a binary list does not: its fourth byte or its first is zero. */
const looksLikeText = (bytes: Buffer): boolean => /^ {0,2}\d{1,2} /.test(bytes.toString('latin1', 0, 5));

/**
 * Reads a measurement list of any form as its chunks come. A record is handed on as soon as it is whole, by position; memory
 * is that of a chunk and a record, however long the list is.
 */
export class ImaListReader {
  readonly #options: ListOptions;
  #reader: BinaryListReader | AsciiListReader | null = null;
  #beginning = Buffer.alloc(0);

  constructor(options: ListOptions = {}) {
    this.#options = options;
    const { format = 'auto', path } = options;
    if (format === 'binary') this.#reader = new BinaryListReader(options, path);
    if (format === 'ascii') this.#reader = new AsciiListReader(path);
  }

  /** Null until the list told it, and for an empty list. */
  get format(): 'binary' | 'ascii' | null {
    if (this.#reader === null) return null;
    return this.#reader instanceof AsciiListReader ? 'ascii' : 'binary';
  }

  /** Null until the list told it. */
  get byteOrder(): ByteOrder | null {
    if (this.#reader instanceof AsciiListReader) return this.#reader.byteOrder;
    return this.#reader?.layout?.byteOrder ?? null;
  }

  /** Throws IMA_INVALID with the place where the list does not hold together. */
  push(chunk: Buffer, take: (span: RecordSpan) => void): void {
    if (this.#reader !== null) this.#reader.push(chunk, take);
    else {
      this.#beginning = Buffer.concat([this.#beginning, chunk]);
      if (this.#beginning.length >= 5) this.#choose().push(this.#beginning, take);
    }
  }

  /** No more chunks come. Throws IMA_INVALID if the list ends within a record. */
  end(take: (span: RecordSpan) => void): void {
    if (this.#reader === null) {
      if (this.#beginning.length === 0) return;
      this.#choose().push(this.#beginning, take);
    }
    this.#reader!.end(take);
  }

  #choose(): BinaryListReader | AsciiListReader {
    const { path } = this.#options;
    this.#reader = looksLikeText(this.#beginning)
      ? new AsciiListReader(path)
      : new BinaryListReader(this.#options, path);
    return this.#reader;
  }
}

/** The records of a list that is in memory as a whole; each a copy. Throws IMA_INVALID. */
export const readImaList = (bytes: Buffer, options: ListOptions = {}): ImaRecord[] => {
  const records: ImaRecord[] = [];
  const take = (span: RecordSpan): void => {
    records.push(recordOf(span));
  };
  const reader = new ImaListReader(options);
  reader.push(bytes, take);
  reader.end(take);
  return records;
};
