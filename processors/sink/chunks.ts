import type { Batch, Output } from '../../infra/log/event-log.js';
import { encodeRecord, type SchemaTable } from '../../schemas/codec.js';
import { AttestreamError } from '../../schemas/errors.js';
import { AvroSource } from './avro-source.js';
import { type Chunk, type ChunkLimits, MAX_MONTHS } from './chunk.js';
import { damageLetter, deadLetter } from './dead-letter.js';
import { RowBinary } from './row-binary.js';
import { Coordinates, type RowBuilder } from './row-builder.js';

const monthOf = (micros: number): number => {
  const date = new Date(Math.floor(micros / 1000));
  return date.getUTCFullYear() * 12 + date.getUTCMonth();
};

export interface ChunkSource {
  readonly schemas: SchemaTable;
  readonly builder: RowBuilder;
  readonly partition: number;
  readonly limits: ChunkLimits;
  /** µs; what `ingested_at` becomes. */
  readonly clock: () => number;
}

/** Rows of one partition on their way: records go in, chunks come out. */
class OpenChunk {
  readonly rows: RowBinary;
  readonly deadLetters: Output[] = [];
  readonly #months = new Set<number>();
  readonly #coordinates: Coordinates;
  readonly #body = new AvroSource();
  readonly #ingestedAt: number;
  #count = 0;
  #records = 0;
  #ifRefused: Output | null = null;
  readonly #key = { bytes: new Uint8Array(0) as Uint8Array, start: 0, end: 0 };
  next: number;
  /** ms of the monotonic clock at which it held something first. */
  began = Number.POSITIVE_INFINITY;

  constructor(
    private readonly source: ChunkSource,
    readonly first: number,
    readonly firstRow: number,
    capacity: number,
    ingestedAt?: number,
  ) {
    this.next = first;
    this.rows = new RowBinary(capacity);
    this.#ingestedAt = ingestedAt ?? source.clock();
    this.#coordinates = new Coordinates(source.builder.topic, source.partition);
    this.#coordinates.ingestedAt = this.#ingestedAt;
  }

  get empty(): boolean {
    return this.next === this.first;
  }

  get full(): boolean {
    const { limits } = this.source;
    return (
      this.#count >= limits.rows ||
      this.#records >= limits.records ||
      this.rows.length >= limits.bytes ||
      this.deadLetters.length >= limits.rows
    );
  }

  /** Takes record `i`; false if it belongs into the next chunk, because it would touch one month too many. */
  take(batch: Batch, i: number): boolean {
    const { rows } = this;
    const mark = rows.length;
    try {
      const made = this.#append(batch, i);
      if (made > 0) {
        const { at } = this.source.builder;
        if (at !== null) {
          const month = monthOf(at);
          if (!this.#months.has(month) && this.#months.size >= MAX_MONTHS) {
            rows.length = mark;
            return false;
          }
          this.#months.add(month);
        }
        this.#count += made;
        this.#records++;
        // Only a chunk of one record needs it, and batches die: it is copied then and not before.
        this.#ifRefused = this.source.limits.records === 1 ? refusedLetter(batch, i, this.source) : null;
      }
    } catch (error) {
      if (!(error instanceof AttestreamError)) throw error;
      rows.length = mark;
      this.deadLetters.push(deadLetter(batch, i, error, this.source.schemas));
    }
    this.#past(batch.offsets[i]! + 1);
    return true;
  }

  /** Goes on to `next`: offsets that hold nothing for us. */
  skipTo(next: number): void {
    if (next > this.next) this.#past(next);
  }

  damaged(letter: Output): void {
    this.deadLetters.push(letter);
  }

  close(): Chunk {
    return {
      first: this.first,
      next: this.next,
      firstRow: this.firstRow,
      rows: this.#count,
      ingestedAt: this.#ingestedAt,
      records: this.#records,
      bytes: this.rows.bytes.subarray(0, this.rows.length),
      deadLetters: this.deadLetters,
      ifRefused: this.#ifRefused,
    };
  }

  #past(next: number): void {
    this.next = next;
    if (this.began === Number.POSITIVE_INFINITY) this.began = performance.now();
  }

  #append(batch: Batch, i: number): number {
    const { builder, schemas } = this.source;
    const index = batch.schemas[i]!;
    if (index < 0) {
      if (!builder.strict) return 0;
      throw new AttestreamError('SCHEMA_UNKNOWN', 'the writer schema of this record is not known');
    }
    const schema = schemas.at(index);
    if (schema.record !== builder.record) {
      if (!builder.strict) return 0;
      throw new AttestreamError('RECORD_UNEXPECTED', `a ${schema.name} does not belong into ${builder.topic}`);
    }
    const [start, end] = [batch.values[2 * i]!, batch.values[2 * i + 1]!];
    if (start < 0) {
      if (!builder.strict) return 0;
      throw new AttestreamError('RECORD_INVALID', `a ${builder.record} without a value`);
    }
    if (schema.current) this.#body.set(batch.bytes, start, end);
    else {
      // Another version's layout: through an object, as rarely as agents are upgraded.
      const record = schema.decode(batch.bytes.subarray(start, end)) as never;
      const body = encodeRecord(builder.record, record);
      this.#body.set(body, 0, body.length);
    }
    const keyed = batch.keys[2 * i]! >= 0;
    this.#key.bytes = batch.bytes;
    this.#key.start = keyed ? batch.keys[2 * i]! : 0;
    this.#key.end = keyed ? batch.keys[2 * i + 1]! : 0;
    this.#coordinates.offset = batch.offsets[i]!;
    this.#coordinates.row = this.firstRow + this.#count;
    return builder.append(this.#body, this.#key, this.#coordinates, this.rows);
  }
}

const refusedLetter = (batch: Batch, i: number, source: ChunkSource): Output =>
  deadLetter(
    batch,
    i,
    new AttestreamError('ROW_REFUSED', `ClickHouse refused this record as a row of ${source.builder.table}`),
    source.schemas,
  );

const LINGERED = Symbol('lingered');

const sleepUntil = (deadline: number): { promise: Promise<typeof LINGERED>; cancel: () => void } => {
  let timer: NodeJS.Timeout;
  const promise = new Promise<typeof LINGERED>((resolve) => {
    timer = setTimeout(() => resolve(LINGERED), Math.max(0, deadline - performance.now()));
  });
  return { promise, cancel: () => clearTimeout(timer) };
};

/** A chunk to begin at, and for a repetition the time that its rows bore. */
export interface ChunkStart {
  readonly first: number;
  readonly row: number;
  readonly ingestedAt?: number;
}

/** Cuts what `batches` brings into chunks, each beginning where the last one ended. Holds one chunk at a time. */
export async function* chunks(
  batches: AsyncIterable<Batch>,
  source: ChunkSource,
  start: ChunkStart,
): AsyncGenerator<Chunk, void> {
  const iterator = batches[Symbol.asyncIterator]();
  let chunk = new OpenChunk(source, start.first, start.row, 0, start.ingestedAt);
  const cut = (): Chunk => {
    const closed = chunk.close();
    chunk = new OpenChunk(
      source,
      closed.next,
      closed.firstRow + closed.rows,
      Math.min(closed.bytes.length * 1.25, source.limits.bytes),
    );
    return closed;
  };
  let pending: Promise<IteratorResult<Batch>> | null = null;
  try {
    for (;;) {
      pending ??= iterator.next();
      // Whoever drops this generator drops the read with it, and its failure is then nobody's concern.
      pending.catch(() => {});
      let result: IteratorResult<Batch> | typeof LINGERED;
      if (chunk.empty) result = await pending;
      else {
        const linger = sleepUntil(chunk.began + source.limits.linger);
        result = await Promise.race([pending, linger.promise]);
        linger.cancel();
      }
      if (result === LINGERED) {
        yield cut();
        continue;
      }
      pending = null;
      if (result.done === true) break;
      const batch = result.value;
      if (source.builder.strict)
        // A read that begins inside a block may meet damage before it, which an earlier chunk has reported.
        for (const damage of batch.damage)
          if (damage.from >= chunk.first) chunk.damaged(damageLetter(batch, damage, source.schemas));
      for (let i = 0; i < batch.length; i++) {
        if (!chunk.take(batch, i)) {
          yield cut();
          i--;
        } else if (chunk.full) yield cut();
      }
      chunk.skipTo(batch.next);
    }
    if (!chunk.empty) yield chunk.close();
  } finally {
    await iterator.return?.();
  }
}
