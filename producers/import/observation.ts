import type { Micros, Parameter } from '../../schemas/records.js';

/** One usable row of a foreign log: an activation that has no place in a stream yet. */
export interface Observation {
  readonly at: Micros;
  readonly end: Micros | null;
  /** Order of arrival where it differs from the file's; null: the file's own. */
  readonly receivedAt: Micros | null;
  readonly host: string;
  readonly process: string;
  readonly function: string;
  readonly parameters: readonly Parameter[];
}

/** Longest name of a host, process, function or parameter, in UTF-16 units. Keys of a log are not documents. */
const MAX_NAME = 4096;

/** Half of a pair: it has no UTF-8, so that two names with one would become the same key. */
const HALF = /\p{Surrogate}/u;

export const isName = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.length <= MAX_NAME && !HALF.test(value);

/** What a reader of a format finds, row by row. Lines count from 1. */
export interface RowSink {
  /** `raw` is the row as it stands in the file; it is kept only if the row turns out to be unusable. */
  row(line: number, raw: string, row: Row): void;
  /** Bytes that are no row at all. */
  reject(line: number, raw: string | Buffer, code: RowProblem, message: string): void;
}

export type RowProblem = 'IMPORT_ROW' | 'IMPORT_TIME' | 'IMPORT_VALUE' | 'IMPORT_ENCODING' | 'TIME_OUT_OF_RANGE';

/** Cells of a row by the names that the file gives them. `undefined`: the row has no such cell. */
export type Row = Readonly<Record<string, unknown>>;

/** Turns bytes into rows. Synchronous: back-pressure is between two chunks. */
export interface FormatReader {
  push(chunk: Buffer): void;
  end(): void;
}

/** Own properties only: a cell named `constructor` must come from the file. */
export const cell = (row: Row, name: string): unknown => (Object.hasOwn(row, name) ? row[name] : undefined);
