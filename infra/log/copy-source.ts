import type { RecordName } from '../../schemas/records.js';
import type { Batch, Damage, Entry, EventLog, Partition } from './event-log.js';

/** One source partition, record by record, with memory of its own. */
export class CopySource {
  readonly #batches: AsyncIterator<Batch>;
  readonly #onDamage: (partition: Partition, damage: Damage) => void;
  #entries: Entry[] = [];
  #at = 0;

  constructor(
    private readonly log: EventLog,
    readonly partition: Partition,
    from: number,
    until: number,
    stop: AbortSignal | undefined,
    onDamage: (partition: Partition, damage: Damage) => void,
  ) {
    this.#batches = log.read(partition, from, until, stop)[Symbol.asyncIterator]();
    this.#onDamage = onDamage;
  }

  /** The record at hand; undefined if `load` must bring more. */
  get entry(): Entry | undefined {
    return this.#entries[this.#at];
  }

  /** Our name of the record at hand; null for foreign, raw or no records. */
  get record(): RecordName | null {
    const schema = this.entry?.schema ?? -1;
    return schema < 0 ? null : this.log.schemas.at(schema).record;
  }

  take(): void {
    this.#at++;
  }

  /** Brings records, if there are none at hand; false at the end. */
  async load(): Promise<boolean> {
    while (this.entry === undefined) {
      const { value: batch, done } = await this.#batches.next();
      if (done === true) return false;
      for (const damage of batch.damage) this.#onDamage(this.partition, damage);
      this.#entries = entriesOf(batch);
      this.#at = 0;
    }
    return true;
  }

  async close(): Promise<void> {
    await this.#batches.return?.();
  }
}

/** A batch's records as entries. Views die with the batch, so its bytes are copied once. */
const entriesOf = (batch: Batch): Entry[] => {
  const bytes = Buffer.from(batch.bytes);
  const part = (spans: Int32Array, i: number): Buffer | null =>
    spans[2 * i]! < 0 ? null : bytes.subarray(spans[2 * i], spans[2 * i + 1]);
  return Array.from({ length: batch.length }, (_, i) => ({
    key: part(batch.keys, i),
    schema: batch.schemas[i]!,
    value: part(batch.values, i),
    headers: batch.headers(i),
    timestamp: batch.timestamps[i]!,
  }));
};
