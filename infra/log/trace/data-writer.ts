import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, rmSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { SchemaTable } from '../../../schemas/codec.js';
import { AttestreamError } from '../../../schemas/errors.js';
import { makeFolder } from '../../make-folder.js';
import { MAX_BATCH_BYTES, MAX_BATCH_RECORDS } from '../batch.js';
import type { Damage, Entry, Partition } from '../event-log.js';
import { headersOf } from '../record-type.js';
import { AvroBytes } from './avro-bytes.js';
import { BlockReader } from './block-reader.js';
import { encodeHeader } from './container.js';
import { openDataFile } from './data-file.js';
import { writeEnvelope } from './envelope.js';
import { dataFileName, dataFiles } from './layout.js';
import { findTail } from './tail.js';
import { syncData, syncFolder } from './two-slot-file.js';

/** Size at which a new file is begun. */
export const ROLL_BYTES = 128 << 20;
/** Larger records are refused: a block must stay well below what readers accept. */
export const MAX_RECORD_BYTES = 32 << 20;

export interface DataWriterOptions extends Partition {
  readonly folder: string;
  readonly schemas: SchemaTable;
  /** ms */
  readonly clock: () => number;
  /** Described in every new file, so that a file need not end when the first record of a type comes. */
  readonly describe: readonly number[];
  readonly report: (damage: Damage & Partition) => void;
}

interface CurrentFile {
  readonly path: string;
  readonly descriptor: number;
  readonly base: number;
  readonly sync: Buffer;
  readonly described: ReadonlySet<number>;
  size: number;
}

/** Writes the data files of one partition. Whoever uses it holds the partition's lock. */
export class DataWriter {
  /** Offset of the next record. */
  next = 0;
  #newest = -1;
  #file: CurrentFile | null = null;
  /** What new files go on describing. */
  #described: ReadonlySet<number>;
  readonly #retired: number[] = [];
  #created = false;
  readonly #topic: Buffer;
  readonly #block = new AvroBytes();

  private constructor(private readonly options: DataWriterOptions) {
    this.#topic = Buffer.from(options.topic, 'utf8');
    this.#described = new Set(options.describe);
  }

  /**
   * Takes a partition over from whoever wrote it last: an interrupted write, and all from offset `end` on if one is
   * given, is cut off and reported. Throws TRACE_FOREIGN.
   */
  static async recover(options: DataWriterOptions, end: number | null): Promise<DataWriter> {
    const writer = new DataWriter(options);
    makeFolder(options.folder);
    await writer.#recover(end);
    return writer;
  }

  /** Bytes of the file that is being written. */
  get size(): number {
    return this.#file?.size ?? 0;
  }

  /** Writes all entries behind the last record; their first offset. Nothing counts as written if it throws. */
  write(entries: readonly Entry[]): number {
    const first = this.next;
    if (entries.length === 0) return first;
    this.#useFileFor(entries);
    const file = this.#file!;
    const blocks: Buffer[] = [];
    const { topic, partition, schemas, clock } = this.options;
    const now = clock();
    let done = 0;
    let newest = this.#newest;
    while (done < entries.length) {
      const block = this.#block;
      block.clear();
      let count = 0;
      while (done < entries.length && count < MAX_BATCH_RECORDS && block.length < MAX_BATCH_BYTES / 2) {
        const entry = entries[done]!;
        const size = (entry.value?.length ?? 0) + (entry.key?.length ?? 0);
        if (size > MAX_RECORD_BYTES)
          throw new AttestreamError('RECORD_INVALID', `a record of ${size} bytes (limit ${MAX_RECORD_BYTES})`, {
            path: `${topic}/${partition}`,
          });
        const timestamp = entry.timestamp ?? now;
        const timestampType = entry.timestamp === undefined ? 1 : 0;
        const fingerprint = entry.schema < 0 ? null : schemas.at(entry.schema).fingerprint;
        const stamp = { offset: first + done, timestamp, timestampType } as const;
        writeEnvelope(block, this.#topic, partition, stamp, entry, headersOf(entry, schemas), fingerprint);
        newest = Math.max(newest, timestamp);
        done++;
        count++;
      }
      const head = new AvroBytes();
      head.long(count);
      head.long(block.length);
      blocks.push(Buffer.concat([head.bytes, block.bytes, file.sync]));
    }
    const bytes = blocks.length === 1 ? blocks[0]! : Buffer.concat(blocks);
    writeWhole(file.descriptor, bytes, file.size);
    file.size += bytes.length;
    this.next = first + entries.length;
    this.#newest = newest;
    return first;
  }

  /** Returns once the disk has everything written so far. */
  async sync(): Promise<void> {
    if (this.#file !== null) await syncData(this.#file.descriptor);
    for (const descriptor of this.#retired.splice(0)) {
      await syncData(descriptor);
      closeSync(descriptor);
    }
    if (this.#created) syncFolder(this.options.folder);
    this.#created = false;
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file.descriptor);
    this.#file = null;
    for (const descriptor of this.#retired.splice(0)) closeSync(descriptor);
  }

  /** A file describes every schema that its records name: one that it does not begins a new file. */
  #useFileFor(entries: readonly Entry[]): void {
    const needed = new Set<number>();
    for (const { schema } of entries) if (schema >= 0) needed.add(schema);
    const file = this.#file;
    if (file !== null && file.size < ROLL_BYTES && [...needed].every((index) => file.described.has(index))) return;
    const { schemas, folder } = this.options;
    const described = new Set([...this.#described, ...needed]);
    const sync = randomBytes(16);
    const header = encodeHeader(sync, this.#newest, described, schemas);
    const path = join(folder, dataFileName(this.next));
    if (file !== null) this.#retired.push(file.descriptor);
    this.#file = null;
    // A file of that name can only be one without a record.
    rmSync(path, { force: true });
    const descriptor = openSync(path, 'wx');
    this.#created = true;
    this.#described = described;
    this.#file = { path, descriptor, base: this.next, sync, described, size: header.length };
    writeWhole(descriptor, header, 0);
  }

  async #recover(end: number | null): Promise<void> {
    const { folder, schemas } = this.options;
    const files = dataFiles(folder);
    this.next = end ?? 0;
    for (let file = files.pop(); file !== undefined; file = files.pop()) {
      if (end !== null && file.base >= end) {
        this.#remove(file.path, file.base, 'holds only records that were never committed');
        continue;
      }
      const opened = openDataFile(file.path, schemas);
      if (opened === null) {
        this.#remove(file.path, file.base, 'ends inside of its header');
        if (files.length === 0) this.next = Math.max(this.next, file.base);
        continue;
      }
      const blocks = new BlockReader(opened);
      const { header } = opened;
      try {
        const tail = await findTail(blocks, file.base, end ?? undefined);
        this.next = Math.max(tail.next, end ?? 0);
        this.#newest = Math.max(header.newest, tail.newest);
        this.#described = new Set([...this.#described, ...header.schemas]);
        const descriptor = openSync(file.path, 'r+');
        const { size } = fstatSync(descriptor);
        if (size > tail.position) {
          ftruncateSync(descriptor, tail.position);
          fsyncSync(descriptor);
          const what = end === null ? 'an interrupted write' : 'what was never committed';
          this.#report(tail.next, `${size - tail.position} bytes of ${file.path} (${what}) were cut off`);
        }
        const described = header.schemas;
        if (tail.damaged || header.codec !== 'null' || this.next !== tail.next) closeSync(descriptor);
        else
          this.#file = {
            path: file.path,
            descriptor,
            base: file.base,
            sync: header.sync,
            described,
            size: tail.position,
          };
      } finally {
        blocks.close();
      }
      return;
    }
  }

  #remove(path: string, base: number, why: string): void {
    unlinkSync(path);
    this.#report(base, `${path} ${why} and was removed`);
  }

  #report(at: number, message: string): void {
    const { topic, partition } = this.options;
    this.options.report({ topic, partition, from: at, to: at, code: 'TRACE_TORN', message });
  }
}

const writeWhole = (descriptor: number, bytes: Buffer, position: number): void => {
  for (let done = 0; done < bytes.length; )
    done += writeSync(descriptor, bytes, done, bytes.length - done, position + done);
};
