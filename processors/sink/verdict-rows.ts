import { COORDINATE_COLUMNS } from '../../infra/clickhouse/tables.js';
import type { AvroSource } from './avro-source.js';
import type { RowBinary } from './row-binary.js';
import { type Coordinates, type Key, plausible, type RowBuilder } from './row-builder.js';
import { transcribers } from './transcribe.js';

/** Columns that a field of the record becomes where it is not one of the same name. */
const SPREAD: Readonly<Record<string, readonly string[]>> = {
  trigger: ['trigger_stream', 'trigger_seq', 'trigger_tick', 'trigger_timer', 'trigger_ordinal'],
};

/** One row per verdict. */
export const verdictRows = (): RowBuilder => {
  const fields = transcribers('Verdict');
  const values = fields.map(({ value }) => value);
  const time = fields.findIndex(({ name }) => name === 'at');
  let at = 0;
  return {
    topic: 'verdicts',
    table: 'verdicts',
    columns: [...COORDINATE_COLUMNS, ...fields.flatMap(({ name }) => SPREAD[name] ?? [name])],
    record: 'Verdict',
    strict: true,
    get at() {
      return at;
    },
    append(body: AvroSource, _key: Key, coordinates: Coordinates, to: RowBinary): number {
      coordinates.write(to, 0);
      for (let i = 0; i < values.length; i++) {
        values[i]!(body, to);
        if (i === time) at = plausible(to.i64At(to.length - 8));
      }
      body.end();
      return 1;
    },
  };
};
