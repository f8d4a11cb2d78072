import type { Entry, EventLog } from '../../infra/log/event-log.js';
import { encodeRecord } from '../../schemas/codec.js';
import { AttestreamError } from '../../schemas/errors.js';
import { taggedHash } from '../../schemas/tagged-hash.js';
import { partitionOf } from '../../schemas/topics.js';
import type { Observation } from './observation.js';

interface Host {
  readonly key: Buffer;
  readonly stream: Buffer;
  readonly partition: number;
  seq: number;
}

/** Hosts of one file: each costs a few hundred bytes until its end. */
const MAX_HOSTS = 2_000_000;

/** Entries and bytes that are kept before they are appended. */
const MAX_ENTRIES = 16_384;
const MAX_BYTES = 8 * 1024 * 1024;

/** Bytes of an unusable row that are kept. */
const MAX_KEPT = 4096;

export interface WriterOptions {
  readonly log: EventLog;
  readonly partitions: number;
  /** Identity of the file: with the host it names a stream. */
  readonly map: Buffer;
  readonly streamName: string;
  readonly beginning: boolean;
  /** Streams that the log holds already, as latin1. */
  readonly existing: ReadonlySet<string>;
}

/** Numbers the observations of each host and appends them. */
export class ImportWriter {
  readonly #options: WriterOptions;
  readonly #hosts = new Map<string, Host>();
  #memory: Entry[][];
  #deadLetters: Entry[] = [];
  #entries = 0;
  #bytes = 0;
  records = 0;
  rejected = 0;
  firstProblem: string | null = null;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#memory = Array.from({ length: options.partitions }, () => []);
  }

  get hosts(): number {
    return this.#hosts.size;
  }

  put(observation: Observation): void {
    const host = this.#hosts.get(observation.host) ?? this.#open(observation.host);
    const value = encodeRecord('Activation', {
      stream: host.stream,
      seq: host.seq++,
      at: observation.at,
      notBefore: observation.at,
      end: observation.end,
      process: observation.process,
      thread: 0,
      function: observation.function,
      beginning: this.#options.beginning,
      parameters: observation.parameters,
    });
    this.records++;
    this.#memory[host.partition]!.push({
      key: host.key,
      schema: this.#options.log.schemas.current('Activation'),
      value,
      timestamp: Math.floor((observation.receivedAt ?? observation.at) / 1000),
    });
    this.#count(value.length + 200);
  }

  reject(line: number, raw: string | Buffer, code: string, message: string): void {
    this.rejected++;
    this.firstProblem ??= `line ${line}: ${message}`;
    const bytes = typeof raw === 'string' ? Buffer.from(raw.slice(0, MAX_KEPT), 'utf8') : raw;
    const value = encodeRecord('DeadLetter', {
      topic: 'import',
      partition: 0,
      offset: line,
      end: line + 1,
      code,
      message,
      timestamp: -1,
      key: null,
      value: Buffer.from(bytes.subarray(0, MAX_KEPT)),
      schema: null,
    });
    this.#deadLetters.push({ key: null, schema: this.#options.log.schemas.current('DeadLetter'), value });
    this.#count(value.length + 200);
  }

  /** Appends what has gathered, if it is much or if `all` is wanted. */
  async drain(all: boolean): Promise<void> {
    if (!all && this.#entries < MAX_ENTRIES && this.#bytes < MAX_BYTES) return;
    const { log } = this.#options;
    const memory = this.#memory;
    const deadLetters = this.#deadLetters;
    this.#memory = memory.map(() => []);
    this.#deadLetters = [];
    this.#entries = 0;
    this.#bytes = 0;
    const writes = memory.flatMap((entries, partition) =>
      entries.length > 0 ? [log.append({ topic: 'memory', partition }, entries)] : [],
    );
    if (deadLetters.length > 0) writes.push(log.append({ topic: 'dead-letters', partition: 0 }, deadLetters));
    await Promise.all(writes);
  }

  #count(bytes: number): void {
    this.#entries++;
    this.#bytes += bytes;
  }

  #open(name: string): Host {
    if (this.#hosts.size >= MAX_HOSTS)
      throw new AttestreamError('IMPORT_HOSTS', `the file names more than ${MAX_HOSTS} hosts`);
    const { map, streamName, partitions, existing } = this.#options;
    const key = Buffer.from(name, 'utf8');
    const stream = taggedHash('attestream/import/1', map, streamName, key);
    if (existing.has(stream.toString('latin1')))
      throw new AttestreamError(
        'IMPORT_EXISTS',
        `the host ${JSON.stringify(name.slice(0, 64))} of ${JSON.stringify(streamName)} stands already in ${this.#options.log.name}`,
        { path: this.#options.log.name },
      );
    const host: Host = { key, stream, partition: partitionOf(key, partitions), seq: 0 };
    // The name may be a slice of the text of a whole chunk, which must not stay in memory for it.
    this.#hosts.set(key.toString('utf8'), host);
    return host;
  }
}
