import { setTimeout as delay } from 'node:timers/promises';
import type { Entry, EventLog } from '../../infra/log/event-log.js';
import { encodeRecord } from '../../schemas/codec.js';
import { AttestreamError } from '../../schemas/errors.js';
import { CHAIN_START, nextChainHead } from '../../schemas/event-chain.js';
import type { ChainHead, RecordName, Records } from '../../schemas/records.js';
import { DEFAULT_PARTITIONS, partitionOf, type TopicName } from '../../schemas/topics.js';
import { isLogAway } from './keep-trying.js';

/** Records in one append. */
const BATCH = 256;
/** Records that wait for the log before `breathe` holds their producer back. */
const MAX_WAITING = 4096;
/** ms between attempts to reach a log that does not answer. */
const RETRY_MS = 1000;

export interface EventStreamOptions {
  readonly log: EventLog;
  readonly topic: TopicName;
  /** 32 bytes. */
  readonly stream: Buffer;
  /** Hex; the key of every record. */
  readonly host: string;
  /** Partitions of the topic if it must be created. */
  readonly partitions?: number;
  /** No attempt is repeated after this. */
  readonly stop?: AbortSignal;
  /** Told when the log cannot be reached, and that it will be tried again. */
  readonly onTrouble?: (message: string) => void;
}

/**
 * One topic's share of a stream: numbers its records, chains their hashes, and appends them in order. A log that does not
 * answer is tried again; nothing is dropped, the producer is held back instead.
 */
export class EventStream {
  readonly topic: TopicName;
  readonly stream: Buffer;
  readonly partition: number;
  readonly #options: EventStreamOptions;
  readonly #key: Buffer;
  #seq = 0;
  #head: Buffer = CHAIN_START;
  #waiting: Entry[] = [];
  #sending: Promise<void> | null = null;
  #failure: unknown;

  private constructor(options: EventStreamOptions, partitions: number) {
    this.#options = options;
    this.topic = options.topic;
    this.stream = options.stream;
    this.#key = Buffer.from(options.host, 'utf8');
    this.partition = partitionOf(options.host, partitions);
  }

  /** Creates the topic if it is absent. Throws the log's errors. */
  static async open(options: EventStreamOptions): Promise<EventStream> {
    const { log, topic, partitions = DEFAULT_PARTITIONS } = options;
    const existing = (await log.bounds(topic)).length;
    if (existing === 0) await log.createTopic(topic, partitions);
    return new EventStream(options, existing === 0 ? partitions : existing);
  }

  /** The newest record's place in the chain; null before the first. */
  get head(): ChainHead | null {
    if (this.#seq === 0) return null;
    return { topic: this.topic, stream: this.stream, seq: this.#seq - 1, head: this.#head };
  }

  /** Takes a record; it is in the log after the next `flush`. Throws what an earlier append failed with. */
  put<N extends RecordName>(name: N, fields: Omit<Records[N], 'stream' | 'seq'>): void {
    if (this.#failure !== undefined) throw this.#failure;
    const { schemas } = this.#options.log;
    const schema = schemas.current(name);
    const record = { ...fields, stream: this.stream, seq: this.#seq } as unknown as Records[N];
    const value = encodeRecord(name, record);
    this.#head = nextChainHead(this.#head, this.#seq++, this.topic, schemas.at(schema).fingerprint, value);
    this.#waiting.push({ key: this.#key, schema, value });
    if (this.#waiting.length >= BATCH) void this.#send();
  }

  /** Resolves at once unless the log is far behind. */
  async breathe(): Promise<void> {
    if (this.#waiting.length > MAX_WAITING) await this.flush();
  }

  /** Everything put so far is in the log. Throws what an append failed with, or LOG_CLOSED if `stop` aborted before. */
  async flush(): Promise<void> {
    while (this.#waiting.length > 0 && this.#failure === undefined) await this.#send();
    await this.#sending;
    if (this.#failure !== undefined) throw this.#failure;
  }

  #send(): Promise<void> {
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null;
    });
    return this.#sending;
  }

  async #sendAll(): Promise<void> {
    const { log, stop, onTrouble } = this.#options;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, BATCH);
      try {
        await log.append({ topic: this.topic, partition: this.partition }, batch);
        this.#waiting.splice(0, batch.length);
      } catch (error) {
        // An append that failed half-way is repeated as a whole: readers drop numbers that they have seen.
        if (!isLogAway(error)) {
          this.#failure = error;
          return;
        }
        onTrouble?.(`${(error as Error).message}; ${this.#waiting.length} records wait`);
        await delay(RETRY_MS, undefined, stop === undefined ? {} : { signal: stop }).catch(() => {});
        if (stop?.aborted === true) {
          this.#failure = new AttestreamError('LOG_CLOSED', `${this.#waiting.length} records were not sent`);
          return;
        }
      }
    }
  }
}
