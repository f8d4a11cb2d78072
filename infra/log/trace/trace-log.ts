import { randomBytes } from 'node:crypto';
import { SchemaTable } from '../../../schemas/codec.js';
import { AttestreamError } from '../../../schemas/errors.js';
import { TOPICS } from '../../../schemas/topics.js';
import { Bell } from '../bell.js';
import type { Bounds, Damage, Entry, EventLog, Lease, OwnOptions, Partition } from '../event-log.js';
import { boundsOf, offsetOfTime } from './bounds.js';
import type { TraceBatch } from './envelope-columns.js';
import { dataFiles, partitionFolder, partitionsOf, topicsOf } from './layout.js';
import { lockedByOthers, Ownership } from './ownership.js';
import { type Readable, readPartition } from './partition-reader.js';
import { PartitionWriter } from './partition-writer.js';
import { SparseIndex } from './sparse-index.js';
import { createTopicFile } from './topic-file.js';
import { visibleEnd } from './visible-end.js';

export interface TraceOptions {
  /** Nothing is written or created; a folder that is not a trace is refused. */
  readonly readOnly?: boolean;
  /** Stamps records, in ms. */
  readonly clock?: () => number;
  /** How long an append or a commit waits for another process's lock, in ms. */
  readonly patience?: number;
  /** Told of every torn tail that was cut off. */
  readonly onReport?: (damage: Damage & Partition) => void;
}

const PATIENCE = 10_000;
/** Between looks whether another process let a partition go, in ms. */
const OWN_PAUSE = 50;

/** Opens a folder as a log. Throws TRACE_NOT_FOUND if it is opened for reading only and is not a trace. */
export const openTrace = async (folder: string, options: TraceOptions = {}): Promise<TraceLog> => {
  if (options.readOnly === true && topicsOf(folder).length === 0)
    throw new AttestreamError('TRACE_NOT_FOUND', `${folder} holds no TOPIC/PARTITION/*.avro files`, { path: folder });
  return new TraceLog(folder, options);
};

/** A folder of data files as an event log, shared with other processes. */
export class TraceLog implements EventLog {
  readonly schemas = new SchemaTable();
  readonly #id = randomBytes(16);
  readonly #index = new SparseIndex();
  readonly #partitions = new Map<string, number>();
  readonly #writers = new Map<string, PartitionWriter>();
  readonly #bells = new Map<string, Bell>();
  readonly #closing = new Bell();
  readonly #ownership: Ownership;
  #closed = false;

  constructor(
    readonly name: string,
    private readonly options: TraceOptions,
  ) {
    this.#ownership = new Ownership(name, (folder, source) => ({
      snapshots: { ...this.#writing, folder, topic: 'state', partition: source.partition, check: this.#check },
      check: this.#check,
      first: async () => dataFiles(this.#folder(source))[0]?.base ?? 0,
      writer: (at) => this.#writer(at),
      changed: (at) => this.#bell(at).ring(),
    }));
  }

  async createTopic(topic: string, partitions: number): Promise<void> {
    this.#mayWrite();
    createTopicFile(this.name, topic, partitions, this.#id.toString('hex'));
  }

  async topics(): Promise<readonly string[]> {
    this.#check();
    return topicsOf(this.name);
  }

  async append(to: Partition, entries: readonly Entry[]): Promise<number> {
    this.#mayWrite();
    const first = await this.#writer(to).append(entries);
    this.#bell(to).ring();
    return first;
  }

  async *read(
    from: Partition,
    offset: number,
    until: number | 'follow',
    stop?: AbortSignal,
  ): AsyncGenerator<TraceBatch> {
    this.#check();
    yield* readPartition(this.#readable(from), offset, until, stop);
  }

  async bounds(topic: string): Promise<readonly Bounds[]> {
    this.#check();
    const bounds: Bounds[] = [];
    for (let partition = 0; partition < this.#count(topic); partition++)
      bounds.push(await boundsOf(this.#readable({ topic, partition })));
    return bounds;
  }

  async offsetAt(at: Partition, timestampMs: number): Promise<number> {
    this.#check();
    return offsetOfTime(this.#readable(at), timestampMs);
  }

  async *own(group: string, topic: string, stop: AbortSignal, options: OwnOptions = {}): AsyncGenerator<Lease> {
    this.#mayWrite();
    const count = this.#count(topic);
    if (count === 0) throw missing({ topic, partition: 0 });
    const { only, patience = Number.POSITIVE_INFINITY } = options;
    let wanted = Array.from({ length: count }, (_, i) => i).filter((i) => only === undefined || only.includes(i));
    const since = performance.now();
    while (wanted.length > 0 && !stop.aborted) {
      const locked: number[] = [];
      for (const partition of wanted) {
        if (stop.aborted) return;
        this.#check();
        const lease = await this.#ownership.take(group, topic, partition);
        if (lease === null) locked.push(partition);
        else yield lease;
      }
      wanted = locked;
      if (locked.length > 0) {
        if (performance.now() - since > patience) throw lockedByOthers(group, topic, locked[0]!, patience);
        await this.#closing.wait(stop, OWN_PAUSE);
      }
    }
    while (!stop.aborted) {
      await this.#closing.wait(stop);
      this.#check();
    }
  }

  /** Leases are lost, locks given up. What was committed or appended stays; nothing else does. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#closing.ring();
    for (const bell of this.#bells.values()) bell.ring();
    await this.#ownership.releaseAll();
    for (const writer of this.#writers.values()) await writer.close();
  }

  readonly #check = (): void => {
    if (this.#closed) throw new AttestreamError('LOG_CLOSED', `the log ${this.name} is closed`, { path: this.name });
  };

  #mayWrite(): void {
    this.#check();
    if (this.options.readOnly === true)
      throw new AttestreamError('LOG_READ_ONLY', `${this.name} was opened for reading only`, { path: this.name });
  }

  get #writing() {
    const { clock = Date.now, onReport: report = () => {} } = this.options;
    return { schemas: this.schemas, clock, report };
  }

  /** Partitions of a topic; 0 if there is none. The number never changes once it is known. */
  #count(topic: string): number {
    const known = this.#partitions.get(topic) ?? partitionsOf(this.name, topic);
    if (known > 0) this.#partitions.set(topic, known);
    return known;
  }

  #folder(at: Partition): string {
    if (!Number.isInteger(at.partition) || at.partition < 0 || at.partition >= this.#count(at.topic)) throw missing(at);
    return partitionFolder(this.name, at.topic, at.partition);
  }

  #readable(at: Partition): Readable {
    const { topic, partition } = at;
    const folder = this.#folder(at);
    const visible = (): number | null => visibleEnd(this.name, folder, topic, partition);
    const { schemas } = this;
    return {
      topic,
      partition,
      folder,
      schemas,
      index: this.#index,
      bell: this.#bell(at),
      check: this.#check,
      visibleEnd: visible,
    };
  }

  #writer(at: Partition): PartitionWriter {
    const folder = this.#folder(at);
    let writer = this.#writers.get(folder);
    if (writer === undefined) {
      const records = TOPICS.find(({ name }) => name === at.topic)?.records ?? [];
      const names = new Set(records);
      const describe: number[] = [];
      for (let i = 0; i < this.schemas.length; i++) {
        const { record, current } = this.schemas.at(i);
        if (record !== null && current && names.has(record)) describe.push(i);
      }
      const { topic, partition } = at;
      const { patience = PATIENCE } = this.options;
      const id = this.#id;
      const common = { ...this.#writing, topic, partition, folder, describe };
      writer = new PartitionWriter({ ...common, root: this.name, id, patience, check: this.#check });
      this.#writers.set(folder, writer);
    }
    return writer;
  }

  #bell({ topic, partition }: Partition): Bell {
    const id = `${topic}/${partition}`;
    let bell = this.#bells.get(id);
    if (bell === undefined) {
      bell = new Bell();
      this.#bells.set(id, bell);
    }
    return bell;
  }
}

const missing = ({ topic, partition }: Partition): AttestreamError =>
  new AttestreamError('TOPIC_MISSING', `there is no partition ${topic}/${partition}`, {
    path: `${topic}/${partition}`,
  });
