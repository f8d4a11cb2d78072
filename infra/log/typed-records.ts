import type { RecordName, Records } from '../../schemas/records.js';
import type { EventLog, Partition } from './event-log.js';

/** A record of one of the wanted types, and where it stands. */
export type Typed<N extends RecordName> = {
  readonly [K in N]: {
    readonly name: K;
    readonly record: Records[K];
    readonly partition: number;
    readonly offset: number;
    /** ms, as the log stamped it. */
    readonly timestamp: number;
    /** The record's key as text. */
    readonly key: string;
  };
}[N];

/** The records of some types in one partition, in order, up to `until` or as they come. What does not decode is passed over. */
export async function* typedRecords<N extends RecordName>(
  log: EventLog,
  at: Partition,
  names: readonly N[],
  from: number,
  until: number | 'follow',
  stop?: AbortSignal,
): AsyncGenerator<Typed<N>> {
  for await (const batch of log.read(at, from, until, stop))
    for (let i = 0; i < batch.length; i++) {
      const index = batch.schemas[i]!;
      const start = batch.values[2 * i]!;
      if (index < 0 || start < 0) continue;
      const schema = log.schemas.at(index);
      const name = schema.record as N | null;
      if (name === null || !names.includes(name)) continue;
      // The record outlives the batch.
      const body = Buffer.from(batch.bytes.subarray(start, batch.values[2 * i + 1]!));
      let record: Records[N];
      try {
        record = schema.decode(body) as Records[N];
      } catch {
        continue;
      }
      const keyStart = batch.keys[2 * i]!;
      yield {
        name,
        record,
        partition: at.partition,
        offset: batch.offsets[i]!,
        timestamp: batch.timestamps[i]!,
        key: keyStart < 0 ? '' : batch.bytes.toString('utf8', keyStart, batch.keys[2 * i + 1]!),
      } as unknown as Typed<N>;
    }
}
