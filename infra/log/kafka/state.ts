import type { SchemaTable } from '../../../schemas/codec.js';
import { AttestreamError } from '../../../schemas/errors.js';
import type { MarkerRecord, SnapshotRecord } from '../../../schemas/records.js';
import type { Batch, Snapshot } from '../event-log.js';

/** Keys in `state` begin with the group and the source topic, so that groups share its partitions and compaction keeps them apart. */
export const stateKey = (group: string, topic: string, key: Buffer): Buffer =>
  Buffer.concat([statePrefix(group, topic), key]);

/** Key of the marker of a commit: a snapshot's key is one byte longer at least. */
const MARKER = 0;
const SNAPSHOT = 1;

export const statePrefix = (group: string, topic: string): Buffer => Buffer.from(`${group}\0${topic}\0`, 'utf8');
export const markerKey = (group: string, topic: string): Buffer => stateKey(group, topic, Buffer.from([MARKER]));
export const snapshotKey = (group: string, topic: string, key: Buffer): Buffer =>
  stateKey(group, topic, Buffer.concat([Buffer.from([SNAPSHOT]), key]));

/** What the records of one `state` partition say of one group and topic. */
export class RestoredState {
  readonly #prefix: Buffer;
  readonly #snapshots = new Map<string, { readonly schema: number; readonly body: Buffer }>();
  #marker: MarkerRecord | null = null;

  constructor(
    readonly schemas: SchemaTable,
    group: string,
    topic: string,
  ) {
    this.#prefix = statePrefix(group, topic);
  }

  /** Throws RECORD_INVALID where something is lost: a state with holes is worse than none. */
  take(batch: Batch): void {
    const [damage] = batch.damage;
    if (damage !== undefined)
      throw new AttestreamError(
        'RECORD_INVALID',
        `offsets [${damage.from}, ${damage.to}) of ${batch.topic}/${batch.partition} cannot be read, so that no state can be restored: ${damage.message}`,
        { path: `${batch.topic}/${batch.partition}@${damage.from}` },
      );
    const { bytes, keys, values, schemas } = batch;
    const prefix = this.#prefix;
    for (let i = 0; i < batch.length; i++) {
      const start = keys[2 * i]!;
      const end = keys[2 * i + 1]!;
      const own = start + prefix.length;
      if (start < 0 || end <= own || bytes.compare(prefix, 0, prefix.length, start, own) !== 0) continue;
      const kind = bytes[own];
      const from = values[2 * i]!;
      const body = from < 0 ? null : bytes.subarray(from, values[2 * i + 1]!);
      if (kind === MARKER && end === own + 1)
        this.#marker = body === null ? null : this.#decode(schemas[i]!, body, 'Marker');
      if (kind !== SNAPSHOT) continue;
      const key = bytes.toString('latin1', own + 1, end);
      if (body === null) this.#snapshots.delete(key);
      else this.#snapshots.set(key, { schema: schemas[i]!, body: Buffer.from(body) });
    }
  }

  #decode<T>(schema: number, body: Buffer, record: 'Marker' | 'Snapshot'): T {
    if (schema < 0 || this.schemas.at(schema).record !== record)
      throw new AttestreamError('SCHEMA_UNKNOWN', `a ${record} in topic state has a schema that is not known`);
    return this.schemas.at(schema).decode(body) as T;
  }

  get marker(): MarkerRecord | null {
    return this.#marker;
  }

  async *snapshots(): AsyncGenerator<Snapshot> {
    for (const [key, { schema, body }] of this.#snapshots)
      yield { ...this.#decode<SnapshotRecord>(schema, body, 'Snapshot'), key: Buffer.from(key, 'latin1') };
  }
}
