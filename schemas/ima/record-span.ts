import type { ByteOrder, ImaRecord } from './entry.js';

/**
 * Where a record lies in `bytes`; positions, not copies, and one object reused for all records of a reader: a list has
 * millions. Valid until the call that handed it over returns.
 */
export interface RecordSpan {
  bytes: Buffer;
  pcr: number;
  digestStart: number;
  digestEnd: number;
  template: string;
  dataStart: number;
  dataEnd: number;
  byteOrder: ByteOrder;
}

const NO_BYTES = Buffer.alloc(0);

export const emptySpan = (): RecordSpan => ({
  bytes: NO_BYTES,
  pcr: 0,
  digestStart: 0,
  digestEnd: 0,
  template: '',
  dataStart: 0,
  dataEnd: 0,
  byteOrder: 'little',
});

/** The record as values of its own that may be kept. */
export const recordOf = (span: RecordSpan): ImaRecord => ({
  pcr: span.pcr,
  templateDigest: Buffer.from(span.bytes.subarray(span.digestStart, span.digestEnd)),
  template: span.template,
  data: Buffer.from(span.bytes.subarray(span.dataStart, span.dataEnd)),
});

/** The record as views that are valid as long as the span is. */
export const spanRecord = (span: RecordSpan): ImaRecord => ({
  pcr: span.pcr,
  templateDigest: span.bytes.subarray(span.digestStart, span.digestEnd),
  template: span.template,
  data: span.bytes.subarray(span.dataStart, span.dataEnd),
});
