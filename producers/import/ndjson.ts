import { isAttestreamError } from '../../schemas/errors.js';
import { parseJsonRow } from './json-row.js';
import { Lines } from './lines.js';
import type { FormatReader, Row, RowSink } from './observation.js';

/** One JSON object a line; blank lines are passed over. */
export const ndjsonReader = (sink: RowSink): FormatReader =>
  new Lines((line, text) => {
    if (text === '' || text.trim() === '') return;
    let row: Row;
    try {
      row = parseJsonRow(text);
    } catch (error) {
      if (!isAttestreamError(error, 'IMPORT_ROW')) throw error;
      sink.reject(line, text, 'IMPORT_ROW', error.message);
      return;
    }
    sink.row(line, text, row);
  }, sink);
