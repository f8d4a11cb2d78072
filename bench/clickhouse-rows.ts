import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type Store } from '../infra/clickhouse/connect.js';
import { insertRows } from '../infra/clickhouse/insert-rows.js';
import { migrate } from '../infra/clickhouse/migrate.js';
import { AvroSource } from '../processors/sink/avro-source.js';
import { RowBinary } from '../processors/sink/row-binary.js';
import { Coordinates } from '../processors/sink/row-builder.js';
import { verdictRows } from '../processors/sink/verdict-rows.js';
import { decodeRecord, encodeRecord } from '../schemas/codec.js';
import type { Verdict } from '../schemas/records.js';

const ROWS = 50_000;
const ROUNDS = 4;
/** Partitions that the sink serves at once. */
const STREAMS = 2;

const verdict = (i: number): Verdict => ({
  // Letters, because JSON cannot carry bytes.
  id: Buffer.alloc(32, 97 + (i % 26)),
  replaces: null,
  fold: 'runtime@1',
  kind: 'process',
  state: i % 10 === 0 ? 'violated' : 'conforming',
  severity: i % 10 === 0 ? 'alert' : 'info',
  host: `${i % 100}`.padStart(64, '0'),
  container: `${i % 500}`.padStart(64, '0'),
  process: `${1000 + (i % 1000)}:77${i % 1000}`,
  slice: '',
  policy: `sha256:${'1'.repeat(64)}`,
  machine: `sha256:${'2'.repeat(64)}`,
  at: 1_700_000_000_000_000 + i * 1000,
  message: 'actuate was called before the door was closed',
  trigger: { stream: 'f'.repeat(64), seq: i, tick: null, timer: null, ordinal: 0 },
  rests: [{ stream: 'f'.repeat(64), seq: i, topic: 'memory', partition: 1, offset: i }],
  assumes: [],
  bindings: { level: `${i % 50}` },
  believed: ['idle'],
  probability: 990_000,
  numbers: { distance: i },
});

/** Rows from Avro bodies, as they come from the log, to the server's acknowledgement. */
const binary = async (store: Store, bodies: readonly Buffer[], round: number): Promise<void> => {
  const builder = verdictRows();
  const coordinates = new Coordinates('verdicts', 0);
  const source = new AvroSource();
  const rows = new RowBinary(bodies.length * 512);
  const key = { bytes: rows.bytes, start: 0, end: 0 };
  for (const [i, body] of bodies.entries()) {
    coordinates.offset = coordinates.row = round * ROWS + i;
    source.set(body, 0, body.length);
    builder.append(source, key, coordinates, rows);
  }
  const bytes = rows.bytes.subarray(0, rows.length);
  await insertRows(store.client, {
    table: 'verdicts',
    columns: builder.columns,
    bytes,
    token: `bench:binary:${round}`,
  });
};

/** The same the usual way: decoded objects, sent as JSON lines. */
const json = async (store: Store, bodies: readonly Buffer[], round: number): Promise<void> => {
  const values = bodies.map((body, i) => {
    const { id, replaces, trigger, at, ...rest } = decodeRecord('Verdict', body);
    return {
      ...rest,
      topic: 'verdicts',
      partition: 1,
      offset: round * ROWS + i,
      ordinal: 0,
      row: round * ROWS + i,
      ingested_at: 1_700_000_000,
      id: id.toString('latin1'),
      replaces: replaces?.toString('latin1') ?? null,
      at: (at / 1e6).toFixed(6),
      trigger_stream: trigger.stream,
      trigger_seq: trigger.seq,
      trigger_tick: trigger.tick,
      trigger_timer: trigger.timer,
      trigger_ordinal: trigger.ordinal,
    };
  });
  await store.client.insert({ table: 'verdicts', values, format: 'JSONEachRow' });
};

const perSecond = async (work: (round: number) => Promise<void>): Promise<number> => {
  await work(0);
  const began = performance.now();
  await Promise.all(
    Array.from({ length: STREAMS }, async (_, stream) => {
      for (let round = 1; round <= ROUNDS; round++) await work(stream * ROUNDS + round);
    }),
  );
  return (STREAMS * ROUNDS * ROWS * 1000) / (performance.now() - began);
};

/** Verdict rows into the embedded ClickHouse, two partitions at a time as the sink does, both formats in the same run. */
export const bench = async (): Promise<
  { name: string; figure: number; unit: string; baseline: number; ratio: number }[]
> => {
  const folder = mkdtempSync(join(tmpdir(), 'attestream-bench-'));
  const store = await connect(`embedded:${folder}`);
  try {
    await migrate(store);
    const bodies = Array.from({ length: ROWS }, (_, i) => encodeRecord('Verdict', verdict(i)));
    const figure = await perSecond((round) => binary(store, bodies, round));
    const baseline = await perSecond((round) => json(store, bodies, round));
    return [
      {
        name: 'verdict rows → ClickHouse (baseline: JSONEachRow)',
        figure,
        unit: 'rows/s',
        baseline,
        ratio: figure / baseline,
      },
    ];
  } finally {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  }
};
