import { COORDINATE_COLUMNS } from '../../infra/clickhouse/tables.js';
import type { AvroSource } from './avro-source.js';
import type { RowBinary } from './row-binary.js';
import type { Coordinates, Key, RowBuilder } from './row-builder.js';
import { transcribers } from './transcribe.js';

/** The letter's own place is in the coordinates; these say where the lost bytes lay. */
const SOURCE = new Set(['topic', 'partition', 'offset', 'end']);

/** One row per dead letter. */
export const deadLetterRows = (): RowBuilder => {
  const fields = transcribers('DeadLetter');
  return {
    topic: 'dead-letters',
    table: 'dead_letters',
    columns: [...COORDINATE_COLUMNS, ...fields.map(({ name }) => (SOURCE.has(name) ? `source_${name}` : name))],
    record: 'DeadLetter',
    strict: true,
    at: null,
    append(body: AvroSource, _key: Key, coordinates: Coordinates, to: RowBinary): number {
      coordinates.write(to, 0);
      for (const { value } of fields) value(body, to);
      body.end();
      return 1;
    },
  };
};
