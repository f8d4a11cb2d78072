import type { Store } from '../../infra/clickhouse/connect.js';
import { landedRows } from '../../infra/clickhouse/landed-rows.js';
import type { EventLog, Lease, Output } from '../../infra/log/event-log.js';
import { AttestreamError } from '../../schemas/errors.js';
import type { Chunk, ChunkLimits } from './chunk.js';
import { type ChunkStart, chunks } from './chunks.js';
import { insert, secondsAwake } from './insert.js';
import { findPosition, type Intent, type Position, positionSnapshot } from './position.js';
import type { RowBuilder } from './row-builder.js';

/** Single rows refused one after another before the fault is looked for elsewhere than in them. */
const MAX_REFUSED = 100;

const UNCUT: ChunkLimits = {
  rows: Number.POSITIVE_INFINITY,
  bytes: Number.POSITIVE_INFINITY,
  records: Number.POSITIVE_INFINITY,
  linger: 2 ** 31 - 1,
};

/** How one table's rows of one partition have come on. */
export interface SinkProgress {
  readonly topic: string;
  readonly partition: number;
  readonly table: string;
  /** Offset that comes next. */
  readonly next: number;
  /** Rows there are, of all time. */
  readonly rows: number;
  /** Since this process began. */
  readonly deadLetters: number;
  /** What keeps rows from being inserted at the moment. */
  readonly trouble: AttestreamError | null;
}

export interface PartitionSinkOptions {
  readonly log: EventLog;
  readonly store: Store;
  readonly lease: Lease;
  readonly builder: RowBuilder;
  readonly until: number | 'follow';
  readonly stop: AbortSignal;
  readonly limits: ChunkLimits;
  /** µs */
  readonly clock: () => number;
  readonly onProgress: (progress: SinkProgress) => void;
}

/**
 * Brings one partition's rows into ClickHouse, each once: a chunk's intent is committed, its rows are inserted under a
 * token that names it, and it is committed as done together with the next intent. Whoever takes over repeats the last
 * intent, which changes nothing where the rows have arrived.
 */
export class PartitionSink {
  #position: Position = { next: 0, row: 0, intent: null };
  #provedAt = 0;
  #lastIngestedAt = 0;
  #deadLetters = 0;
  #refused = 0;
  #trouble: AttestreamError | null = null;
  /** Records a chunk may have: halved when ClickHouse refuses one, until the row that it objects to stands alone. */
  #records: number;

  constructor(private readonly options: PartitionSinkOptions) {
    this.#records = options.limits.records;
  }

  /** Ends at `until` or at `stop`. Throws LEASE_LOST, SINK_DIVERGED, SNAPSHOT_FOREIGN, CLICKHOUSE_REFUSED. */
  async run(): Promise<void> {
    const { lease, builder } = this.options;
    const { next, snapshots } = await lease.restore();
    this.#position = (await findPosition(builder.table, snapshots)) ?? { next, row: 0, intent: null };
    this.#provedAt = secondsAwake();
    const { intent } = this.#position;
    this.#lastIngestedAt = intent?.ingestedAt ?? 0;
    if (intent !== null && intent.next > this.#position.next && !(await this.#repeat(intent))) return;
    while (await this.#advance());
  }

  /** Makes the rows of the last intent again and sends them under the same token; false if stopped meanwhile. */
  async #repeat(intent: Intent): Promise<boolean> {
    const { store, lease, builder } = this.options;
    const reading = this.#read(
      { first: intent.first, row: intent.firstRow, ingestedAt: intent.ingestedAt },
      intent.next,
      UNCUT,
    );
    let again: Chunk | null = null;
    try {
      again = (await reading.chunks.next()).value ?? null;
    } finally {
      await reading.close();
    }
    if (this.options.stop.aborted && (again === null || again.next < intent.next)) return false;
    if (again !== null && again.rows === intent.rows) {
      const chunk = { ...again, next: intent.next };
      const outcome = await this.#insert(chunk);
      if (outcome === 'inserted') await this.#commit({ done: chunk, intent: null, letters: chunk.deadLetters });
      // Nothing of refused rows lands, so the chunk may as well be cut anew.
      else if (outcome === 'refused') this.#records = Math.max(1, Math.floor(chunk.records / 2));
      return outcome !== 'stopped';
    }
    // The log or this program's reading of it has changed. Rows that are all there, or not at all, leave no doubt.
    const landed = await landedRows(store, builder.table, lease.topic, lease.partition, intent.firstRow, intent.rows);
    if (landed === intent.rows) await this.#commit({ done: intent, intent: null, letters: again?.deadLetters ?? [] });
    else if (landed !== 0)
      throw new AttestreamError(
        'SINK_DIVERGED',
        `${landed} of ${intent.rows} rows of ${builder.table} from ${lease.topic}/${lease.partition} offsets [${intent.first}, ${intent.next}) are in ${store.name}, and the log gives ${again?.rows ?? 0} now. Run the version that wrote them once, or delete rows ${intent.firstRow} and above of that partition`,
        { path: `${lease.topic}/${lease.partition}`, offset: intent.first },
      );
    return true;
  }

  /** Sinks what comes until the end, or until chunks must be cut otherwise: then true. */
  async #advance(): Promise<boolean> {
    const limits = { ...this.options.limits, records: this.#records };
    const reading = this.#read({ first: this.#position.next, row: this.#position.row }, this.options.until, limits);
    /** Inserted, but not yet committed as done: that goes with the next intent, if it comes at once. */
    let inserted: Chunk | null = null;
    try {
      let coming = reading.chunks.next();
      for (;;) {
        if (inserted !== null && !(await isSettled(coming))) {
          await this.#done(inserted);
          inserted = null;
        }
        const result = await coming;
        if (result.done === true || result.value.rows === 0) {
          if (inserted !== null) await this.#done(inserted);
          inserted = null;
          if (result.done === true) return false;
          await this.#done(result.value);
          coming = reading.chunks.next();
          continue;
        }
        const chunk = result.value;
        await this.#commit({ done: inserted, intent: chunk, letters: inserted?.deadLetters ?? [] });
        inserted = null;
        coming = reading.chunks.next();
        coming.catch(() => {});
        const outcome = await this.#insert(chunk);
        if (outcome === 'stopped') return false;
        if (outcome === 'refused') {
          await this.#refuse(chunk);
          return true;
        }
        this.#refused = 0;
        inserted = chunk;
        if (this.#records < this.options.limits.records) {
          await this.#done(chunk);
          this.#records = Math.min(this.#records * 2, this.options.limits.records);
          return true;
        }
      }
    } finally {
      await reading.close();
    }
  }

  /** The chunk is cut in halves until one record is left, which is set aside: it takes no number, so no hole is left. */
  async #refuse(chunk: Chunk): Promise<void> {
    const { store, lease, builder } = this.options;
    const landed = await landedRows(store, builder.table, lease.topic, lease.partition, chunk.firstRow, chunk.rows);
    if (landed > 0)
      throw new AttestreamError(
        'SINK_DIVERGED',
        `ClickHouse refused a chunk of ${chunk.rows} rows of ${builder.table}, but took ${landed} of them`,
        { path: `${lease.topic}/${lease.partition}`, offset: chunk.first },
      );
    if (chunk.ifRefused === null) {
      this.#records = Math.max(1, Math.floor(chunk.records / 2));
      return;
    }
    if (++this.#refused > MAX_REFUSED)
      throw new AttestreamError(
        'CLICKHOUSE_REFUSED',
        `${store.name} refused ${MAX_REFUSED} rows of ${builder.table} in succession; look at the table rather than at the rows`,
      );
    // A letter about a dead letter would be refused in its turn, for ever.
    const letters = builder.topic === 'dead-letters' ? [] : [chunk.ifRefused];
    await this.#commit({ done: { ...chunk, rows: 0 }, intent: null, letters: [...chunk.deadLetters, ...letters] });
  }

  #insert(chunk: Chunk): Promise<'inserted' | 'refused' | 'stopped'> {
    const { store, lease, builder, stop } = this.options;
    return insert({
      store,
      rows: {
        table: builder.table,
        columns: builder.columns,
        bytes: chunk.bytes,
        token: `${builder.table}:${lease.topic}:${lease.partition}:${chunk.first}-${chunk.next - 1}`,
      },
      provedAt: () => this.#provedAt,
      prove: () => this.#commit({ done: null, intent: null, letters: [] }),
      stop,
      // Of a single record the answer is final, of more it only says where to look.
      refusals: chunk.records === 1 ? 2 : 1,
      trouble: (error) => {
        this.#trouble = error;
        this.#report();
      },
    });
  }

  #done(chunk: Chunk): Promise<void> {
    return this.#commit({ done: chunk, intent: null, letters: chunk.deadLetters });
  }

  /** One commit: what is done, what is intended, what could not be made into rows. Without any, it proves the lease. */
  async #commit(act: {
    readonly done: Pick<Intent, 'next' | 'firstRow' | 'rows'> | null;
    readonly intent: Intent | null;
    readonly letters: readonly Output[];
  }): Promise<void> {
    const { done, intent, letters } = act;
    const position: Position = {
      next: done?.next ?? this.#position.next,
      row: done === null ? this.#position.row : done.firstRow + done.rows,
      intent: intent === null ? this.#position.intent : intentOf(intent),
    };
    await this.options.lease.commit({
      next: position.next,
      outputs: letters,
      snapshots: [positionSnapshot(this.options.builder.table, position)],
    });
    this.#provedAt = secondsAwake();
    this.#position = position;
    this.#deadLetters += letters.length;
    if (done !== null) this.#report();
  }

  #report(): void {
    const { lease, builder, onProgress } = this.options;
    onProgress({
      topic: lease.topic,
      partition: lease.partition,
      table: builder.table,
      next: this.#position.next,
      rows: this.#position.row,
      deadLetters: this.#deadLetters,
      trouble: this.#trouble,
    });
  }

  /** Arrival never runs backwards within a partition, so that the oldest rows are those that expire. */
  readonly #clock = (): number => {
    this.#lastIngestedAt = Math.max(this.#lastIngestedAt, this.options.clock());
    return this.#lastIngestedAt;
  };

  #read(
    start: ChunkStart,
    until: number | 'follow',
    limits: ChunkLimits,
  ): { chunks: AsyncGenerator<Chunk, void>; close: () => Promise<void> } {
    const { log, lease, builder, stop } = this.options;
    const end = new AbortController();
    const abort = (): void => end.abort();
    for (const signal of [stop, lease.lost]) {
      if (signal.aborted) abort();
      signal.addEventListener('abort', abort, { once: true });
    }
    const source = { schemas: log.schemas, builder, partition: lease.partition, limits, clock: this.#clock };
    const batches = log.read({ topic: lease.topic, partition: lease.partition }, start.first, until, end.signal);
    const cut = chunks(batches, source, start);
    return {
      chunks: cut,
      async close() {
        for (const signal of [stop, lease.lost]) signal.removeEventListener('abort', abort);
        // A read that waits for records ends only when told so, and the generator only after its read.
        abort();
        await cut.return();
      },
    };
  }
}

const intentOf = ({ first, next, firstRow, rows, ingestedAt }: Intent): Intent => ({
  first,
  next,
  firstRow,
  rows,
  ingestedAt,
});

/** True if the promise has settled by the next turn of the event loop. */
const isSettled = (promise: Promise<unknown>): Promise<boolean> =>
  Promise.race([
    promise.then(
      () => true,
      () => true,
    ),
    new Promise<boolean>((resolve) => setImmediate(() => resolve(false))),
  ]);
