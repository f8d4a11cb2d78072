import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { encodeRecord } from '../../../schemas/codec.js';
import { AttestreamError } from '../../../schemas/errors.js';
import type { SnapshotRecord } from '../../../schemas/records.js';
import { makeFolder } from '../../make-folder.js';
import { Bell } from '../bell.js';
import type { Entry, Snapshot } from '../event-log.js';
import { DataWriter, type DataWriterOptions } from './data-writer.js';
import type { TraceBatch } from './envelope-columns.js';
import { names } from './layout.js';
import { type Readable, readPartition } from './partition-reader.js';
import { SparseIndex } from './sparse-index.js';
import { syncFolder } from './two-slot-file.js';

/** Superseded snapshots are dropped once the files exceed this many times what is live, and this many bytes. */
const OUTGROWN = 4;
const SMALL_BYTES = 1 << 20;
/** What a snapshot takes beside its body. */
const OVERHEAD_BYTES = 64;

export interface SnapshotStoreOptions extends Omit<DataWriterOptions, 'folder' | 'describe'> {
  /** The lease's folder. */
  readonly folder: string;
  readonly check: () => void;
}

/** Position in the snapshot files: which generation of files, and the end of what counts. */
export interface SnapshotPlace {
  readonly epoch: number;
  readonly end: number;
}

interface Live {
  readonly offset: number;
  readonly bytes: number;
}

/** The snapshots of one lease: a partition of its own kind, rewritten into a new folder when most of it is superseded. */
export class SnapshotStore {
  #live: Map<string, Live> | null = null;
  #liveBytes = 0;
  #totalBytes = 0;
  #writer: DataWriter | null = null;
  readonly #schema: number;

  constructor(
    private readonly options: SnapshotStoreOptions,
    private place: SnapshotPlace,
  ) {
    this.#schema = options.schemas.current('Snapshot');
    for (const name of names(options.folder))
      if (name.startsWith('snapshots-') && name !== folderName(place.epoch))
        rmSync(join(options.folder, name), { recursive: true, force: true });
  }

  /** Newest snapshot of each key that was not forgotten. Throws TRACE_CORRUPT rather than leave one out. */
  async *restore(): AsyncGenerator<Snapshot> {
    const { place } = this;
    const live = await this.#load();
    const newest = new Set([...live.values()].map(({ offset }) => offset));
    for await (const batch of this.#batches(place))
      for (let i = 0; i < batch.length; i++) {
        if (!newest.has(batch.offsets[i]!)) continue;
        const record = this.options.schemas.at(batch.schemas[i]!).decode(valueAt(batch, i)!) as SnapshotRecord;
        yield { key: keyAt(batch, i), ...record };
      }
  }

  /** Writes and syncs snapshots; they count once a commit names the place that is returned. */
  async write(snapshots: readonly Snapshot[]): Promise<SnapshotPlace> {
    const live = await this.#load();
    if (snapshots.length === 0) return this.place;
    const entries = snapshots.map((snapshot) => this.#entry(snapshot));
    let { epoch, end } = this.place;
    if (this.#totalBytes > OUTGROWN * this.#liveBytes + SMALL_BYTES) {
      await this.#moveTo(epoch + 1, live);
      epoch++;
      end = live.size;
    }
    this.#writer ??= await this.#open(epoch, end);
    const first = this.#writer.write(entries);
    await this.#writer.sync();
    entries.forEach((entry, i) => {
      this.#count(live, entry.key!, first + i, entry.value);
    });
    return { epoch, end: this.#writer.next };
  }

  /** The place of the last `write` counts now. */
  settle(place: SnapshotPlace): void {
    const before = this.place;
    this.place = place;
    if (before.epoch !== place.epoch)
      rmSync(join(this.options.folder, folderName(before.epoch)), { recursive: true, force: true });
  }

  /** The last `write` does not count: what is in memory is read again when it is needed. */
  forget(): void {
    this.#writer?.close();
    this.#writer = null;
    this.#live = null;
  }

  #entry(snapshot: Snapshot): Entry {
    const value = snapshot.state === null ? null : encodeRecord('Snapshot', snapshot);
    return { key: snapshot.key, schema: this.#schema, value };
  }

  #open(epoch: number, end: number): Promise<DataWriter> {
    const folder = join(this.options.folder, folderName(epoch));
    makeFolder(folder);
    syncFolder(this.options.folder);
    return DataWriter.recover({ ...this.options, folder, describe: [this.#schema] }, end);
  }

  async #moveTo(epoch: number, live: Map<string, Live>): Promise<void> {
    const writer = await this.#open(epoch, 0);
    const newest = new Set([...live.values()].map(({ offset }) => offset));
    const moved = new Map<string, Live>();
    this.#liveBytes = 0;
    this.#totalBytes = 0;
    for await (const batch of this.#batches(this.place)) {
      const entries: Entry[] = [];
      for (let i = 0; i < batch.length; i++)
        if (newest.has(batch.offsets[i]!))
          entries.push({ key: keyAt(batch, i), schema: batch.schemas[i]!, value: valueAt(batch, i) });
      const first = writer.write(entries);
      entries.forEach((entry, i) => {
        this.#count(moved, entry.key!, first + i, entry.value);
      });
    }
    live.clear();
    for (const [key, value] of moved) live.set(key, value);
    this.#writer?.close();
    this.#writer = writer;
  }

  async #load(): Promise<Map<string, Live>> {
    if (this.#live !== null) return this.#live;
    const live = new Map<string, Live>();
    this.#liveBytes = 0;
    this.#totalBytes = 0;
    for await (const batch of this.#batches(this.place))
      for (let i = 0; i < batch.length; i++) this.#count(live, keyAt(batch, i), batch.offsets[i]!, valueAt(batch, i));
    this.#live = live;
    return live;
  }

  #count(live: Map<string, Live>, key: Buffer, offset: number, value: Buffer | null): void {
    const id = key.toString('latin1');
    const bytes = OVERHEAD_BYTES + key.length + (value?.length ?? 0);
    this.#liveBytes -= live.get(id)?.bytes ?? 0;
    this.#totalBytes += bytes;
    if (value === null) live.delete(id);
    else {
      live.set(id, { offset, bytes });
      this.#liveBytes += bytes;
    }
  }

  async *#batches({ epoch, end }: SnapshotPlace): AsyncGenerator<TraceBatch> {
    const { topic, partition, schemas, check } = this.options;
    const folder = join(this.options.folder, folderName(epoch));
    const source: Readable = {
      topic,
      partition,
      folder,
      schemas,
      check,
      index: new SparseIndex(),
      bell: new Bell(),
      visibleEnd: () => end,
    };
    for await (const batch of readPartition(source, 0, end)) {
      if (batch.damage.length > 0)
        throw new AttestreamError(
          'TRACE_CORRUPT',
          `snapshots in ${folder} are damaged: ${batch.damage[0]!.message}. Reprocess from the start under a new name`,
          { path: folder },
        );
      yield batch;
    }
  }
}

const folderName = (epoch: number): string => `snapshots-${epoch}`;

const keyAt = (batch: TraceBatch, i: number): Buffer => part(batch, batch.keys, i) ?? Buffer.alloc(0);
const valueAt = (batch: TraceBatch, i: number): Buffer | null => part(batch, batch.values, i);

const part = (batch: TraceBatch, spans: Int32Array, i: number): Buffer | null =>
  spans[2 * i]! < 0 ? null : Buffer.from(batch.bytes.subarray(spans[2 * i], spans[2 * i + 1]));
