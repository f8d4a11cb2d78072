import { COORDINATE_COLUMNS } from '../../infra/clickhouse/tables.js';
import type { AvroSource } from './avro-source.js';
import { RowBinary } from './row-binary.js';
import { type Coordinates, type Key, plausible, type RowBuilder } from './row-builder.js';
import { transcribers } from './transcribe.js';

const COLUMNS = [
  'host',
  ...['stream', 'seq', 'at', 'not_before', 'process'],
  ...['tid', 'thread', 'thread_at', 'outcome', 'run_time', 'slices', 'complete', 'as_before', 'syscall', 'frames'],
  ...['arguments', 'residue', 'micros', 'bytes_read', 'planned', 'due', 'stopped', 'globals'],
];

/** One row per thread and look. A look that met no thread says nothing and gives no row. */
export const lookRows = (): RowBuilder => {
  const fields = transcribers('Look');
  const middle = fields.findIndex(({ name }) => name === 'threads');
  const before = fields.slice(0, middle).map(({ value }) => value);
  const time = fields.findIndex(({ name }) => name === 'at');
  const thread = fields[middle]!.item!;
  const after = fields.slice(middle + 1).map(({ value }) => value);
  // A thread's row needs what stands before and behind all threads, so parts are gathered first.
  const head = new RowBinary();
  const body = new RowBinary();
  const tail = new RowBinary();
  const ends: number[] = [];
  let at = 0;
  return {
    topic: 'memory',
    table: 'looks',
    columns: [...COORDINATE_COLUMNS, ...COLUMNS],
    record: 'Look',
    strict: false,
    get at() {
      return at;
    },
    append(from: AvroSource, key: Key, coordinates: Coordinates, to: RowBinary): number {
      head.length = body.length = tail.length = ends.length = 0;
      head.string(key.bytes, key.start, key.end);
      for (let i = 0; i < before.length; i++) {
        before[i]!(from, head);
        if (i === time) at = plausible(head.i64At(head.length - 8));
      }
      for (let block = from.block(); block !== 0; block = from.block())
        for (let i = 0; i < block; i++) {
          thread(from, body);
          ends.push(body.length);
        }
      for (const value of after) value(from, tail);
      from.end();
      for (let i = 0; i < ends.length; i++) {
        coordinates.write(to, i);
        to.raw(head.bytes, 0, head.length);
        to.raw(body.bytes, i === 0 ? 0 : ends[i - 1]!, ends[i]!);
        to.raw(tail.bytes, 0, tail.length);
      }
      return ends.length;
    },
  };
};
