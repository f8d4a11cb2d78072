import type { Entry, EventLog } from '../../../infra/log/event-log.js';
import { encodeRecord } from '../../../schemas/codec.js';
import type { RecordName, Records } from '../../../schemas/records.js';
import { DEFAULT_PARTITIONS, partitionOf } from '../../../schemas/topics.js';

const TOPIC = 'memory';
/** Records in one append, and how long a record may wait for others. */
const BATCH = 64;
const LINGER_MS = 100;
/** Records on their way before the writer asks its caller to wait. */
const MAX_WAITING = 4096;

/** Gives records of one stream their numbers and appends them in order, a batch at a time. */
export class StreamWriter {
  readonly #log: EventLog;
  readonly #stream: Buffer;
  readonly #key: Buffer;
  readonly #partition: number;
  #seq = 0;
  #batch: Entry[] = [];
  #waiting = 0;
  #tail: Promise<unknown> = Promise.resolve();
  #failure: unknown;
  #timer: NodeJS.Timeout | undefined;

  private constructor(log: EventLog, stream: Buffer, host: string, partitions: number) {
    this.#log = log;
    this.#stream = stream;
    this.#key = Buffer.from(host, 'utf8');
    this.#partition = partitionOf(host, partitions);
  }

  /** Creates the topic with `partitions` if it is absent. Throws the log's errors. */
  static async open(
    log: EventLog,
    stream: Buffer,
    host: string,
    partitions = DEFAULT_PARTITIONS,
  ): Promise<StreamWriter> {
    let existing = (await log.bounds(TOPIC)).length;
    if (existing === 0) {
      await log.createTopic(TOPIC, partitions);
      existing = partitions;
    }
    return new StreamWriter(log, stream, host, existing);
  }

  put<N extends RecordName>(name: N, fields: Omit<Records[N], 'stream' | 'seq'>): void {
    const record = { ...fields, stream: this.#stream, seq: this.#seq++ } as unknown as Records[N];
    this.#batch.push({ key: this.#key, schema: this.#log.schemas.current(name), value: encodeRecord(name, record) });
    this.#waiting++;
    if (this.#batch.length >= BATCH) this.#send();
    else this.#timer ??= setTimeout(() => this.#send(), LINGER_MS);
  }

  #send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const batch = this.#batch;
    if (batch.length === 0) return;
    this.#batch = [];
    this.#tail = this.#tail.then(async () => {
      if (this.#failure !== undefined) return;
      try {
        await this.#log.append({ topic: TOPIC, partition: this.#partition }, batch);
        this.#waiting -= batch.length;
      } catch (error) {
        this.#failure = error;
      }
    });
  }

  /** Resolves at once unless the log is far behind. Throws what an append threw. */
  async breathe(): Promise<void> {
    if (this.#waiting > MAX_WAITING) await this.#tail;
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Everything put so far is in the log. Throws what an append threw. */
  async flush(): Promise<void> {
    this.#send();
    await this.#tail;
    if (this.#failure !== undefined) throw this.#failure;
  }
}
