import { AttestreamError } from '../../schemas/errors.js';
import { partitionOf } from '../../schemas/topics.js';
import { Bell } from './bell.js';
import { type Barrier, barrierOf, nextBarrier, PassedBarriers } from './copy-barrier.js';
import { CopyOutbox } from './copy-outbox.js';
import { CopySource } from './copy-source.js';
import type { Damage, Entry, EventLog, Partition } from './event-log.js';

export interface CopyRange {
  readonly from: number;
  /** Exclusive. */
  readonly until: number;
}

export interface CopyOptions {
  /** All by default. */
  readonly topics?: readonly string[];
  /** Source partitions, all by default. A choice needs equal numbers of partitions on both sides. */
  readonly partitions?: readonly number[];
  /** Offsets of a source partition; `whole` by default. */
  readonly range?: (at: Partition, whole: CopyRange) => CopyRange | Promise<CopyRange>;
  /** Records per second; as fast as it goes by default. */
  readonly rate?: number;
  /** Told the number of records copied so far, after each append. */
  readonly onProgress?: (records: number) => void;
  /** Told of source offsets that cannot be read. */
  readonly onDamage?: (at: Partition, damage: Damage) => void;
  /** Ends the copy between two records; what was copied stays. */
  readonly stop?: AbortSignal;
}

export interface Copied {
  readonly records: number;
  /** Source offsets that could not be read. */
  readonly lost: number;
}

/**
 * Copies records from one log into another, creating topics that are not there. What a record is stays as it is (stream,
 * seq, key, headers, timestamp, and the very bytes where no schema is known); offsets become the destination's own.
 * With another number of partitions there, keys decide, and whatever stands in every partition (ticks, assignments) is a
 * barrier that no record crosses: each host's order, ticks included, is kept. Throws USAGE, TOPIC_MISSING.
 */
export const copyLog = async (from: EventLog, to: EventLog, options: CopyOptions = {}): Promise<Copied> => {
  const copy = new Copy(from, to, options);
  for (const topic of options.topics ?? (await from.topics())) await copy.topic(topic);
  return { records: copy.records, lost: copy.lost };
};

/** Records in one append, at most. */
const MOST = 4096;
/** A limited rate is spread over this many appends per second and partition. */
const PORTIONS = 10;

class Copy {
  records = 0;
  lost = 0;
  /** Schema index here → there. */
  readonly #schemas = new Map<number, number>();
  readonly #began = performance.now();

  constructor(
    private readonly from: EventLog,
    private readonly to: EventLog,
    private readonly options: CopyOptions,
  ) {}

  async topic(topic: string): Promise<void> {
    const bounds = await this.from.bounds(topic);
    if (bounds.length === 0)
      throw new AttestreamError('TOPIC_MISSING', `${this.from.name} has no topic ${topic}`, { path: topic });
    let count = (await this.to.bounds(topic)).length;
    if (count === 0) await this.to.createTopic(topic, bounds.length);
    count ||= bounds.length;
    const { partitions, range, rate, stop } = this.options;
    if (count !== bounds.length && partitions !== undefined)
      throw new AttestreamError(
        'USAGE',
        `single partitions of ${topic} cannot be copied: ${bounds.length} here, ${count} there. Leave --partitions out`,
      );
    const sources: CopySource[] = [];
    for (const [partition, { first, end }] of bounds.entries()) {
      if (partitions !== undefined && !partitions.includes(partition)) continue;
      const at = { topic, partition };
      const whole = { from: first, until: end };
      const { from, until } = (await range?.(at, whole)) ?? whole;
      sources.push(new CopySource(this.from, at, from, until, stop, this.#damage));
    }
    const out = new CopyOutbox(
      this.to,
      topic,
      rate === undefined ? MOST : Math.min(MOST, Math.ceil(rate / PORTIONS)),
      this.#sent,
    );
    try {
      if (count === bounds.length) for (const source of sources) await this.#straight(source, out);
      else await this.#rearranged(sources, out, count);
      await out.flush();
    } finally {
      for (const source of sources) await source.close();
    }
  }

  async #straight(source: CopySource, out: CopyOutbox): Promise<void> {
    const { partition } = source.partition;
    while (await this.#more(source))
      for (let entry = source.entry; entry !== undefined; entry = source.entry) {
        if (out.put(partition, this.#translate(entry))) await out.send(partition);
        source.take();
      }
  }

  /** Drains each source up to its next barrier; the lowest barrier then goes into every partition there. */
  async #rearranged(sources: readonly CopySource[], out: CopyOutbox, count: number): Promise<void> {
    const passed = new PassedBarriers();
    for (;;) {
      const waiting = new Map<CopySource, Barrier>();
      for (const source of sources) {
        const barrier = await this.#drain(source, out, count, passed);
        if (barrier !== null) waiting.set(source, barrier);
      }
      const next = nextBarrier([...waiting.values()]);
      if (next === null) return;
      const holder = [...waiting].find(([, barrier]) => barrier === next)![0];
      const entry = this.#translate(holder.entry!);
      for (let partition = 0; partition < count; partition++) if (out.put(partition, entry)) await out.send(partition);
      passed.add(next);
    }
  }

  /** Copies up to the source's next barrier, and stays before it; null at its end. */
  async #drain(source: CopySource, out: CopyOutbox, count: number, passed: PassedBarriers): Promise<Barrier | null> {
    while (await this.#more(source))
      for (let entry = source.entry; entry !== undefined; entry = source.entry) {
        const barrier = barrierOf(source.record, entry, this.from.schemas);
        if (barrier === null) {
          const partition = entry.key === null ? source.partition.partition % count : partitionOf(entry.key, count);
          if (out.put(partition, this.#translate(entry))) await out.send(partition);
        } else if (!passed.has(barrier)) return barrier;
        source.take();
      }
    return null;
  }

  async #more(source: CopySource): Promise<boolean> {
    return this.options.stop?.aborted !== true && (await source.load());
  }

  #translate(entry: Entry): Entry {
    if (entry.schema < 0) return entry;
    let schema = this.#schemas.get(entry.schema);
    if (schema === undefined) {
      schema = this.to.schemas.add(this.from.schemas.at(entry.schema).json);
      this.#schemas.set(entry.schema, schema);
    }
    return { ...entry, schema };
  }

  readonly #damage = (at: Partition, damage: Damage): void => {
    this.lost += damage.to - damage.from;
    this.options.onDamage?.(at, damage);
  };

  readonly #sent = async (records: number): Promise<void> => {
    this.records += records;
    this.options.onProgress?.(this.records);
    const { rate, stop } = this.options;
    if (rate === undefined) return;
    const early = (this.records / rate) * 1000 - (performance.now() - this.#began);
    if (early > 0) await new Bell().wait(stop, early);
  };
}
