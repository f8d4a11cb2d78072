import type { RecordName, Records } from '../../schemas/records.js';
import type { EventLog, Partition } from './event-log.js';

/** A record of a wanted type, and where it stands. */
export interface Found<N extends RecordName> {
  readonly partition: number;
  readonly offset: number;
  readonly record: Records[N];
}

/**
 * The records of one type in a topic as it is now, by partition and offset, or from given offsets on.
 * For the few records that are looked for by hand; folds read batches. Other types and what does not decode are passed over.
 */
export async function* recordsOf<N extends RecordName>(
  log: EventLog,
  topic: string,
  type: N,
  from: (at: Partition, first: number) => number = (_at, first) => first,
): AsyncGenerator<Found<N>> {
  for (const [partition, { first, end }] of (await log.bounds(topic)).entries()) {
    const at = { topic, partition };
    for await (const batch of log.read(at, from(at, first), end))
      for (let i = 0; i < batch.length; i++) {
        const schema = batch.schemas[i]!;
        const start = batch.values[2 * i]!;
        if (schema < 0 || start < 0 || log.schemas.at(schema).record !== type) continue;
        let record: Records[N];
        try {
          record = log.schemas.at(schema).decode(batch.bytes.subarray(start, batch.values[2 * i + 1]!)) as Records[N];
        } catch {
          continue;
        }
        yield { partition, offset: batch.offsets[i]!, record };
      }
  }
}
