import { AttestreamError } from '../../schemas/errors.js';
import { didYouMean } from '../../schemas/suggest.js';
import { CsvRecords, columnNames } from './csv-row.js';
import { Lines } from './lines.js';
import type { FormatReader, RowSink } from './observation.js';

export interface CsvOptions {
  readonly delimiter: string;
  /** Names of the columns of a file without a header. */
  readonly columns: readonly string[] | null;
  /** Columns that must be there. */
  readonly wanted: readonly string[];
}

/** CSV (RFC 4180, any single-character delimiter, UTF-8), the first record being the header unless the columns are given. */
export const csvReader = (options: CsvOptions, sink: RowSink): FormatReader => {
  let names: readonly string[] | null = null;
  const setNames = (found: readonly string[]): void => {
    for (const column of options.wanted)
      if (!found.includes(column))
        throw new AttestreamError(
          'IMPORT_FORMAT',
          `the file has no column ${JSON.stringify(column)}, which the map names; ${didYouMean(column, found)}`,
        );
    names = found;
  };
  if (options.columns !== null) setNames(options.columns);
  const records = new CsvRecords(
    options.delimiter,
    (line, raw, fields) => {
      if (names === null) {
        setNames(columnNames(fields));
        return;
      }
      if (fields.length !== names.length) {
        sink.reject(line, raw, 'IMPORT_ROW', `the row has ${fields.length} fields, the header ${names.length}`);
        return;
      }
      const row: Record<string, string> = {};
      for (let i = 0; i < names.length; i++) row[names[i]!] = fields[i]!;
      sink.row(line, raw, row);
    },
    sink,
  );
  const lines = new Lines((line, text) => records.line(line, text), sink);
  return {
    push: (chunk) => lines.push(chunk),
    end() {
      lines.end();
      records.end();
    },
  };
};
