import { setTimeout as sleep } from 'node:timers/promises';
import type { Batch } from '../../infra/log/event-log.js';
import type { SchemaTable } from '../../schemas/codec.js';

/** Records [from, to) of a batch, as a batch of their own over the same bytes. */
const part = (batch: Batch, from: number, to: number): Batch => ({
  topic: batch.topic,
  partition: batch.partition,
  length: to - from,
  next: to === batch.length ? batch.next : batch.offsets[to]!,
  offsets: batch.offsets.subarray(from, to),
  timestamps: batch.timestamps.subarray(from, to),
  bytes: batch.bytes,
  keys: batch.keys.subarray(2 * from, 2 * to),
  values: batch.values.subarray(2 * from, 2 * to),
  schemas: batch.schemas.subarray(from, to),
  headers: (i) => batch.headers(from + i),
  damage: from === 0 ? batch.damage : [],
});

/** Event time of a record, µs; null where it has none or does not decode. */
const timeOf = (batch: Batch, i: number, schemas: SchemaTable): number | null => {
  const schema = batch.schemas[i]!;
  const start = batch.values[2 * i]!;
  if (schema < 0 || start < 0) return null;
  try {
    const { at } = schemas.at(schema).decode(batch.bytes.subarray(start, batch.values[2 * i + 1]!)) as { at?: unknown };
    return typeof at === 'number' ? at : null;
  } catch {
    return null; // the engine will set it aside
  }
};

/** Hands batches on at the pace of their events, `speed` times as fast as they happened. */
export async function* paced(
  batches: AsyncIterable<Batch>,
  schemas: SchemaTable,
  speed: number,
  stop: AbortSignal,
): AsyncGenerator<Batch> {
  let first: number | null = null;
  const began = performance.now();
  for await (const batch of batches) {
    let from = 0;
    for (let i = 0; i < batch.length; i++) {
      const at = timeOf(batch, i, schemas);
      if (at === null) continue;
      first ??= at;
      const wait = began + (at - first) / 1000 / speed - performance.now();
      if (wait < 1) continue;
      if (i > from) yield part(batch, from, i);
      from = i;
      await sleep(wait, undefined, { signal: stop }).catch(() => {});
      if (stop.aborted) return;
    }
    yield part(batch, from, batch.length);
  }
}
