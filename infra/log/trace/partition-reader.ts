import { statSync } from 'node:fs';
import type { SchemaTable } from '../../../schemas/codec.js';
import { MAX_BATCH_BYTES, MAX_BATCH_RECORDS } from '../batch.js';
import type { Bell } from '../bell.js';
import type { Damage, Partition } from '../event-log.js';
import { type Block, BlockReader, type NotABlock } from './block-reader.js';
import { openDataFile } from './data-file.js';
import { firstRecord } from './envelope.js';
import { EnvelopeColumns, type TraceBatch, type Wanted } from './envelope-columns.js';
import { type DataFile, dataFiles } from './layout.js';
import { OffsetTrack } from './offset-track.js';
import type { SparseIndex } from './sparse-index.js';

/** A folder of data files to be read. */
export interface Readable extends Partition {
  readonly folder: string;
  readonly schemas: SchemaTable;
  readonly index: SparseIndex;
  /** Committed end; null where every whole block counts. */
  visibleEnd(): number | null;
  /** Throws once the log is closed. */
  check(): void;
  /** Rung when this process wrote here. */
  readonly bell: Bell;
}

/** Sleeps between looks for what other processes write, in ms. */
const FIRST_IDLE = 4;
const LAST_IDLE = 100;

/** What a step over the current file ended with. */
type Outcome = NotABlock | 'full' | 'limit' | 'governed';

/** Reads one partition: batches from `offset` on, to `until` or for ever. */
export const readPartition = (
  source: Readable,
  offset: number,
  until: number | 'follow',
  stop?: AbortSignal,
): AsyncGenerator<TraceBatch> => new PartitionReader(source, offset, until).batches(stop);

class PartitionReader {
  readonly #columns: EnvelopeColumns;
  readonly #until: number;
  readonly #follow: boolean;
  #from: number;
  #blocks: BlockReader | null = null;
  #base = 0;
  #track = new OffsetTrack(0);
  /** A block whose records do not all fit into one batch: how far it was read. */
  #partial: { readonly block: Block; position: number; left: number; first: number } | null = null;
  #damage: Damage[] = [];
  /** What was found wrong at the track's `next`, until it is known how far it reaches. */
  #fault: string | null = null;
  /** Byte offset that looked bad once: it is read again before it is given up, for a writer may have been at it. */
  #suspect = -1;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(
    private readonly source: Readable,
    offset: number,
    until: number | 'follow',
  ) {
    this.#columns = new EnvelopeColumns(source.topic, source.partition);
    this.#from = Math.max(0, offset);
    this.#follow = until === 'follow';
    this.#until = until === 'follow' ? Number.POSITIVE_INFINITY : until;
  }

  async *batches(stop?: AbortSignal): AsyncGenerator<TraceBatch> {
    let idle = FIRST_IDLE;
    try {
      while (stop?.aborted !== true && this.#from < this.#until) {
        this.source.check();
        this.#columns.clear();
        const end = this.source.visibleEnd();
        let more = false;
        if (end === null || this.#from < end) {
          const outcome = this.#open() ? await this.#step(end) : 'wait';
          if (this.#columns.length > 0) {
            idle = FIRST_IDLE;
            yield this.#batch();
            continue;
          }
          more = await this.#goOn(outcome, end);
          if (more && this.#damage.length > 0) {
            yield this.#batch();
            continue;
          }
        }
        if (more) continue;
        if (!this.#follow) {
          this.#finish(end);
          break;
        }
        this.#blocks?.discard();
        this.#reopenIfReplaced();
        await this.source.bell.wait(stop, idle);
        idle = Math.min(LAST_IDLE, idle * 2);
      }
      if (stop?.aborted !== true && this.#damage.length > 0) {
        this.#columns.clear();
        yield this.#batch();
      }
    } finally {
      this.#blocks?.close();
    }
  }

  /** Opens the file that holds `#from`; false if there is none to read yet. */
  #open(): boolean {
    if (this.#blocks !== null) return true;
    const files = dataFiles(this.source.folder);
    const holder = files.findLastIndex(({ base }) => base <= this.#from);
    return this.#useFirst(files.slice(Math.max(0, holder)));
  }

  /** Files without a whole header are passed over, as long as another follows. */
  #useFirst(files: readonly DataFile[]): boolean {
    const usable = files.findIndex((file) => this.#use(file));
    if (usable > 0) this.#lostBefore(files[usable]!.base, `${files[0]!.path} has no whole header`);
    return usable >= 0;
  }

  #lostBefore(to: number, fault: string): void {
    const from = this.#from;
    if (from < to) this.#damage.push({ from, to: Math.min(to, this.#until), code: 'TRACE_CORRUPT', message: fault });
  }

  #use(file: DataFile): boolean {
    const opened = openDataFile(file.path, this.source.schemas);
    if (opened === null) return false;
    this.#blocks?.close();
    this.#blocks = new BlockReader(opened);
    this.#base = file.base;
    this.#partial = null;
    const start = this.source.index.before(file.path, opened.inode, this.#from);
    this.#track = new OffsetTrack(start?.offset ?? file.base);
    if (start !== null) this.#blocks.position = start.position;
    return true;
  }

  /** Fills the columns from what stands in the file, as far as one batch goes. */
  async #step(end: number | null): Promise<Outcome> {
    const blocks = this.#blocks!;
    const wanted: Wanted = { from: this.#from, until: Math.min(this.#until, end ?? Number.POSITIVE_INFINITY) };
    let bytes = 0;
    for (;;) {
      if (this.#partial === null) {
        const outcome = await this.#nextBlock(blocks, end, wanted);
        if (outcome !== null) return outcome;
      }
      const partial = this.#partial!;
      const { block } = partial;
      if (this.#columns.length > 0 && block.bytes !== this.#bytes) return 'full';
      this.#bytes = block.bytes;
      const position = this.#decode(partial, wanted);
      if (position < 0) {
        this.#partial = null;
        return 'bad';
      }
      bytes += position - partial.position;
      partial.left -= this.#columns.read;
      partial.first += this.#columns.read;
      partial.position = position;
      if (partial.left > 0) return 'full';
      this.#accept(block);
      this.#partial = null;
      if (bytes >= MAX_BATCH_BYTES || this.#columns.length >= MAX_BATCH_RECORDS) return 'full';
    }
  }

  /** Makes the next block the current one; else says why not. */
  async #nextBlock(blocks: BlockReader, end: number | null, wanted: Wanted): Promise<Outcome | null> {
    const fresh = this.#columns.length === 0;
    const block = await blocks.next(fresh);
    if (typeof block === 'string') return block;
    // Bytes read before this look cannot be a lease's: a lease says so before it writes.
    if (fresh && end === null && this.source.visibleEnd() !== null) return 'governed';
    const first = firstRecord(block.bytes, block.start, block.end)?.offset;
    if (first === undefined || !this.#track.fits(first)) return 'bad';
    if (first >= wanted.until) return 'limit';
    const partial = { block, position: block.start, left: block.count, first };
    // A block that spans batches is looked through first: nothing of a damaged block is delivered.
    if (block.count > MAX_BATCH_RECORDS - this.#columns.length && !this.#sound(partial)) return 'bad';
    this.#partial = partial;
    return null;
  }

  #sound(partial: { readonly block: Block; position: number; left: number; first: number }): boolean {
    let { position, left, first } = partial;
    const none: Wanted = { from: Number.POSITIVE_INFINITY, until: Number.NEGATIVE_INFINITY };
    position = this.#decode({ block: partial.block, position, left, first }, none);
    left -= this.#columns.read;
    first += this.#columns.read;
    return position >= 0 && left === 0;
  }

  #decode(partial: { block: Block; position: number; left: number; first: number }, wanted: Wanted): number {
    const { block, position, left, first } = partial;
    const { prints } = this.#blocks!.file.header;
    return this.#columns.decode(block.bytes, position, block.end, left, first, wanted, prints);
  }

  #accept(block: Block): void {
    const blocks = this.#blocks!;
    const first = this.#partial!.first - block.count;
    if (this.#track.broken) this.#settle(first);
    this.source.index.add(blocks.file.path, blocks.file.inode, first, blocks.position);
    this.#track.accept(first, block.count);
    blocks.position = block.after;
  }

  /** Reports what was lost up to `to`, now that it is known how far it reaches. */
  #settle(to: number): void {
    const from = Math.max(this.#track.next, Math.min(this.#from, to));
    if (this.#fault !== null && from < to) this.#damage.push({ from, to, code: 'TRACE_CORRUPT', message: this.#fault });
    this.#fault = null;
  }

  /** Reading ends here: what is missing up to the end will not come. */
  #finish(end: number | null): void {
    const to = Math.min(this.#until, Math.max(this.#track.guess, end ?? 0));
    if (this.#blocks === null) {
      if (end !== null) this.#lostBefore(to, `${this.source.folder} lacks records that were committed`);
      return;
    }
    if (end !== null && this.#track.next < to) this.#fault ??= `${this.#blocks.file.path} ends before offset ${to}`;
    this.#settle(to);
  }

  #batch(): TraceBatch {
    const { length } = this.#columns;
    const damage = this.#damage;
    this.#damage = [];
    for (const { to } of damage) this.#from = Math.max(this.#from, to);
    const batch = this.#columns.batch(this.#bytes, this.#from, damage);
    if (length === 0) return batch;
    this.#from = Math.max(this.#from, batch.offsets[length - 1]! + 1);
    return { ...batch, next: this.#from };
  }

  /** After a step that gave nothing: true if the next one may give something. */
  async #goOn(outcome: Outcome, end: number | null): Promise<boolean> {
    const blocks = this.#blocks;
    if (blocks === null) return false;
    if (outcome === 'full') return true;
    if (outcome === 'governed') {
      blocks.discard();
      return true;
    }
    if (outcome === 'limit') return false;
    const { position } = blocks;
    if (outcome === 'bad' || blocks.remaining > 0) {
      const found = await blocks.findSync();
      if (found !== null) {
        if (this.#suspect !== position) {
          this.#suspect = position;
          blocks.discard();
          return true;
        }
        const lost = found - position;
        this.#fault ??= `${blocks.file.path} is damaged at byte ${position}`;
        this.#track.lose(lost, await blocks.claimed(lost));
        blocks.position = found;
        blocks.discard();
        return true;
      }
    }
    return this.#nextFile(blocks, end);
  }

  /** The end of a file counts only if another look at it, after its successor was seen, finds nothing more. */
  #nextFile(blocks: BlockReader, end: number | null): boolean {
    const files = dataFiles(this.source.folder).filter(({ base }) => base > this.#base);
    const following = files[0];
    if (following === undefined || (end !== null && following.base >= end)) return false;
    const seen = -2 - blocks.position;
    if (this.#suspect !== seen) {
      this.#suspect = seen;
      blocks.discard();
      return true;
    }
    const { next } = this.#track;
    if (following.base > next) {
      this.#fault ??= `${blocks.file.path} ends at byte ${blocks.position}, before offset ${following.base}`;
      this.#settle(following.base);
    }
    this.#fault = null;
    return this.#useFirst(files);
  }

  #reopenIfReplaced(): void {
    const blocks = this.#blocks;
    if (blocks === null) return;
    try {
      const { ino, size } = statSync(blocks.file.path);
      if (ino === blocks.file.inode && size >= blocks.position) return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    blocks.close();
    this.#blocks = null;
  }
}
