import type { Batch, Commit, Output, Snapshot } from '../../infra/log/event-log.js';
import type { SchemaTable } from '../../schemas/codec.js';
import { encodeRecord } from '../../schemas/codec.js';
import { AttestreamError, type ErrorCode } from '../../schemas/errors.js';
import { CHAIN_START, EventChain } from '../../schemas/event-chain.js';
import type { Micros, RecordName, Records, Tick, Verdict } from '../../schemas/records.js';
import type { PinnedKeys } from '../../schemas/signed.js';
import { taggedHash } from '../../schemas/tagged-hash.js';
import { Controller, type Refusal } from './controller.js';
import { type HostDigest, nextConclusions, nextHead } from './digest.js';
import type { Fold, HostRecordName, Said, ToSay, WideRecordName, World } from './fold.js';
import { Host } from './host.js';
import { KeyTable } from './key-table.js';
import { type Envelope, type Reader, Readers } from './readers.js';
import type { StreamPosition } from './streams.js';

/** Years 1970 to 2200: outside, an event time is a fault of its producer and would only poison its host's clock. */
const TIME_LIMIT: Micros = 7_258_118_400_000_000;

/** Bytes of an undecodable record that a dead letter keeps. */
const KEPT_BYTES = 1 << 20;

export interface EngineOptions<Types extends RecordName, State> {
  readonly fold: Fold<Types, State>;
  readonly partition: number;
  readonly schemas: SchemaTable;
  /** Keys that controller records must be signed with. None: all of them are refused. */
  readonly keys?: PinnedKeys;
  /** False: `take` gives no snapshots, for a replay that nobody will resume. */
  readonly snapshots?: boolean;
}

export interface EngineCounts {
  records: number;
  events: number;
  duplicates: number;
  /** Records that never came, by seq. */
  missing: number;
  late: number;
  deadLetters: number;
  verdicts: number;
}

/** Everything since the last `take`: a commit, once `toSay` is signed. */
export interface Taken extends Commit {
  readonly toSay: readonly ToSay[];
}

/** Synchronous and allocation-light: intern key → drop what was seen → fire timers → move clock → step → buffer. */
export interface Engine {
  restore(snapshot: Snapshot): void;
  /** Never awaits. Views of the batch are not kept. */
  push(batch: Batch): void;
  take(): Taken;
  /** Verdicts and dead letters waiting for `take`. */
  readonly pending: number;
  readonly counts: Readonly<EngineCounts>;
  /** Deadlines that are still open. */
  readonly openTimers: number;
  /** Highest number of a tick that was taken; −1 before the first. */
  readonly newestTick: number;
  digests(): Iterable<HostDigest>;
}

/** Stands for no schema yet. */
const FOREIGN: Reader = { is: 'foreign', message: '' };

/** Snapshot key of what the controller said in the partition; no host has an empty name. */
const CONTROLLER_KEY = Buffer.alloc(0);

class PartitionEngine<Types extends RecordName, State> implements Engine, World {
  readonly #fold: Fold<Types, State>;
  readonly #foldName: string;
  readonly #schemas: SchemaTable;
  readonly #readers: Readers<Types, State>;
  readonly #keys = new KeyTable();
  readonly #hosts: Host<State>[] = [];
  readonly #controller: Controller;
  readonly #snapshots: boolean;
  readonly #chain: EventChain;
  /** Every stream's chain is followed from its beginning; otherwise those that the fold asks for. */
  readonly #chained: boolean;
  readonly #believes: boolean;
  readonly #verdictSchema: number;
  readonly #deadLetterSchema: number;
  #changed: Host<State>[] = [];
  #outputs: Output[] = [];
  #toSay: ToSay[] = [];
  #next = 0;
  #batch!: Batch;
  #at = 0;
  #host!: Host<State>;
  readonly counts: EngineCounts = {
    records: 0,
    events: 0,
    duplicates: 0,
    missing: 0,
    late: 0,
    deadLetters: 0,
    verdicts: 0,
  };

  // The world, as the fold sees it during one call.
  now: Micros = 0;
  late = false;
  missing = 0;
  stream = '';
  seq = -1;
  tick: number | null = null;
  head: Buffer | null = null;
  readonly coordinates: { topic: string; partition: number; offset: number };

  constructor(options: EngineOptions<Types, State>) {
    this.#fold = options.fold;
    this.#foldName = `${options.fold.name}@${options.fold.version}`;
    this.#schemas = options.schemas;
    this.#readers = new Readers(options.schemas, options.fold);
    this.#controller = new Controller(options.keys ?? new Map());
    this.#snapshots = options.snapshots ?? true;
    this.#chain = new EventChain(options.fold.topic);
    this.#chained = options.fold.chained ?? false;
    this.#believes = (options.keys?.size ?? 0) > 0;
    this.#verdictSchema = options.schemas.current('Verdict');
    this.#deadLetterSchema = options.schemas.current('DeadLetter');
    this.coordinates = { topic: options.fold.topic, partition: options.partition, offset: 0 };
  }

  push(batch: Batch): void {
    const { bytes, keys, values, schemas, offsets, length } = batch;
    for (const { from, to, code, message } of batch.damage) this.#damaged(from, to, code, message);
    this.#batch = batch;
    const { counts } = this;
    let known = -1;
    let reader: Reader = FOREIGN;
    for (let i = 0; i < length; i++) {
      this.#at = i;
      this.coordinates.offset = offsets[i]!;
      const schema = schemas[i]!;
      const start = values[2 * i]!;
      const end = values[2 * i + 1]!;
      if (start < 0) continue; // a tombstone says nothing
      if (schema < 0) {
        this.#refuse(batch, i, 'SCHEMA_UNKNOWN', 'its writer schema is not known');
        continue;
      }
      if (schema !== known) {
        reader = this.#readers.at(schema);
        known = schema;
      }
      if (reader.is !== 'event') {
        this.#other(reader, batch, i);
        continue;
      }
      const keyStart = keys[2 * i]!;
      if (keyStart < 0) {
        this.#refuse(batch, i, 'HOST_KEY_MISSING', 'it has no key');
        continue;
      }
      let event: Envelope & { readonly stream?: Buffer };
      try {
        event = reader.read(bytes, start, end);
      } catch (error) {
        if (!(error instanceof AttestreamError)) throw error;
        this.#refuse(batch, i, error.code, error.message);
        continue;
      }
      if (!(event.at >= 0 && event.at < TIME_LIMIT && event.notBefore >= 0 && event.notBefore <= event.at)) {
        this.#refuse(
          batch,
          i,
          'TIME_OUT_OF_RANGE',
          `its time ${event.notBefore}..${event.at} µs is outside of 1970 to 2200 or reversed`,
        );
        continue;
      }
      const slot = this.#keys.slot(bytes, keyStart, keys[2 * i + 1]!);
      const host = slot < this.#hosts.length ? this.#hosts[slot]! : this.#newHost(slot);
      const position = reader.streamInPlace
        ? host.streams.position(bytes, start)
        : host.streams.position(event.stream!, 0);
      const { seq } = event;
      if (seq <= position.seq) {
        counts.duplicates++;
        continue;
      }
      this.missing = seq - position.seq - 1;
      if (this.missing > 0) counts.missing += this.missing;
      position.seq = seq;
      this.head = position.head === null ? null : this.#follow(position, batch, i, reader.fingerprint);
      this.#host = host;
      if (!host.changed) {
        host.changed = true;
        this.#changed.push(host);
      }
      this.stream = position.hex;
      this.seq = seq;
      if (host.due <= event.notBefore) this.#fire(host, event.notBefore);
      this.late = event.at < host.clock;
      if (this.late) counts.late++;
      if (event.notBefore > host.clock) host.clock = event.notBefore;
      if (event.at > host.lastAt) {
        host.lastAt = event.at;
        host.issued = -1;
      }
      this.now = host.clock;
      counts.events++;
      if (reader.wanted)
        host.state = this.#fold.step(
          this.#stateOf(host),
          reader.type as Types,
          event as unknown as Records[Types],
          this,
        );
    }
    this.counts.records += length;
    this.#next = batch.next;
  }

  take(): Taken {
    const outputs = this.#outputs;
    const toSay = this.#toSay;
    const snapshots: Snapshot[] = [];
    if (this.#snapshots) {
      for (const host of this.#changed) snapshots.push(this.#snapshot(host));
      if (this.#controller.changed) snapshots.push(this.#controllerSnapshot());
    }
    for (const host of this.#changed) host.changed = false;
    this.#controller.changed = false;
    this.#outputs = [];
    this.#toSay = [];
    this.#changed = [];
    return { next: this.#next, outputs, snapshots, toSay };
  }

  restore(snapshot: Snapshot): void {
    if (snapshot.fold !== this.#foldName)
      throw new AttestreamError(
        'SNAPSHOT_FOREIGN',
        `a snapshot of ${snapshot.fold} cannot be taken up by ${this.#foldName}`,
      );
    if (snapshot.key.length === 0) {
      this.#controller.restore(snapshot.state!);
      for (const said of this.#controller.said()) this.#fold.broadcast?.(said);
      return;
    }
    if (snapshot.state === null) return;
    const slot = this.#keys.slot(snapshot.key, 0, snapshot.key.length);
    const host = this.#newHost(slot);
    host.state = this.#fold.decode(host.name, snapshot.state);
    host.clock = snapshot.clock;
    host.lastAt = snapshot.lastAt;
    host.issued = snapshot.issued;
    host.timers.restore(snapshot.timers);
    host.due = host.timers.due;
    host.streams.restore(snapshot.seen);
    for (const { by, number, signature } of snapshot.told) host.told.set(by.toString('hex'), { number, signature });
    host.head = snapshot.digest;
    host.conclusions = snapshot.conclusions;
    host.spoke = snapshot.digest.some((byte) => byte !== 0);
  }

  get pending(): number {
    return this.#outputs.length;
  }

  get newestTick(): number {
    return this.#controller.newestTick;
  }

  get openTimers(): number {
    let open = 0;
    for (const host of this.#hosts) open += host.timers.size;
    return open;
  }

  *digests(): Iterable<HostDigest> {
    for (const host of this.#hosts)
      if (host.spoke) yield { host: host.name, head: host.head, conclusions: host.conclusions };
  }

  // --- the world ---

  emit(verdict: Verdict, supersedes?: Verdict): void {
    const host = this.#host;
    host.head = nextHead(host.head, verdict);
    host.conclusions = nextConclusions(host.conclusions, verdict, supersedes);
    host.spoke = true;
    this.counts.verdicts++;
    this.#outputs.push({
      topic: 'verdicts',
      entry: { key: host.key, schema: this.#verdictSchema, value: encodeRecord('Verdict', verdict) },
    });
  }

  say(wish: ToSay): void {
    this.#toSay.push(wish);
  }

  follow(): Buffer | null {
    const position = this.#host.streams.newest;
    const reader = this.#readers.at(this.#batch.schemas[this.#at]!);
    if (!this.#believes || this.seq !== 0 || position?.seq !== 0 || reader.is !== 'event') return null;
    if (position.head === null) {
      position.head = Buffer.from(CHAIN_START);
      this.head = this.#follow(position, this.#batch, this.#at, reader.fingerprint);
    }
    return position.head;
  }

  reached(stream: Buffer): number {
    return this.#host.streams.reached(stream);
  }

  wake(at: Micros, id: number): void {
    const host = this.#host;
    host.timers.set(at, id);
    host.due = host.timers.due;
  }

  sleep(id: number): void {
    const host = this.#host;
    host.timers.clear(id);
    host.due = host.timers.due;
  }

  refuse(code: ErrorCode, reason: string): void {
    this.#refuse(this.#batch, this.#at, code, reason);
  }

  // --- inside ---

  /** Lets every timer due by `until` fire, each at its own deadline, and moves the clock there. */
  #fire(host: Host<State>, until: Micros): void {
    this.#host = host;
    this.late = false;
    const missing = this.missing;
    this.missing = 0;
    while (host.due <= until) {
      const timer = host.timers.take();
      host.due = host.timers.due;
      if (timer.at > host.clock) host.clock = timer.at;
      this.now = timer.at;
      host.state = this.#fold.timer(this.#stateOf(host), timer.id, this);
    }
    this.missing = missing;
  }

  #stateOf(host: Host<State>): State {
    return host.state === undefined ? this.#fold.initial(host.name) : host.state;
  }

  #newHost(slot: number): Host<State> {
    const key = this.#keys.key(slot);
    const host = new Host<State>(key.toString('utf8'), key, this.#chained);
    this.#hosts[slot] = host;
    return host;
  }

  #other(reader: Exclude<Reader, { is: 'event' }>, batch: Batch, i: number): void {
    if (reader.is === 'foreign') {
      this.#refuse(batch, i, 'RECORD_UNEXPECTED', reader.message);
      return;
    }
    let record: unknown;
    try {
      record = reader.schema.decode(batch.bytes.subarray(batch.values[2 * i]!, batch.values[2 * i + 1]!));
    } catch (error) {
      if (!(error instanceof AttestreamError)) throw error;
      this.#refuse(batch, i, error.code, error.message);
      return;
    }
    const said = { name: reader.type, record } as Said<WideRecordName | HostRecordName>;
    switch (said.name) {
      case 'Tick':
      case 'Assignment':
      case 'Approval':
      case 'Revoked':
        if (this.#refused(this.#controller.take(said), batch, i)) return;
        this.#fold.broadcast?.(said);
        if (said.name === 'Tick') this.#ticked(said.record);
        if (said.name === 'Revoked') {
          const host = this.#hosts.find(({ name, state }) => name === said.record.host && state !== undefined);
          if (host !== undefined) this.#tell(host, said, this.#by(said));
        }
        break;
      default:
        this.#told(said, batch, i);
    }
  }

  #refused(refusal: Refusal | null, batch: Batch, i: number): boolean {
    if (refusal?.refused === 'fault') this.#refuse(batch, i, refusal.code, refusal.message);
    return refusal !== null;
  }

  /** Names the sequence that a record belongs to: its kind and its signer. */
  #by({ name, record }: Said<WideRecordName | HostRecordName>): Buffer {
    return taggedHash('attestream/said/1', name, record.verifierId);
  }

  #told(said: Said<HostRecordName>, batch: Batch, i: number): void {
    const { record } = said;
    const name = Buffer.from(record.host, 'utf8');
    const keyStart = batch.keys[2 * i]!;
    if (keyStart < 0 || !name.equals(batch.bytes.subarray(keyStart, batch.keys[2 * i + 1]!))) {
      this.#refuse(batch, i, 'RECORD_UNEXPECTED', `a ${said.name} for another host than its key names`);
      return;
    }
    const by = this.#by(said);
    const key = by.toString('hex');
    const slot = this.#keys.slot(name, 0, name.length);
    const known = this.#hosts[slot]?.told.get(key);
    if (this.#refused(this.#controller.judge(said, known), batch, i)) return;
    const host = slot < this.#hosts.length ? this.#hosts[slot]! : this.#newHost(slot);
    host.told.set(key, { number: record.number, signature: record.signature });
    this.#tell(host, said, by);
  }

  #tell(host: Host<State>, said: Said<HostRecordName | 'Revoked'>, by: Buffer): void {
    if (!host.changed) {
      host.changed = true;
      this.#changed.push(host);
    }
    if (this.#fold.told === undefined) return;
    this.#host = host;
    this.stream = by.toString('hex');
    this.seq = said.record.number;
    this.missing = 0;
    this.late = false;
    this.head = null;
    this.now = host.clock;
    host.state = this.#fold.told(this.#stateOf(host), said, this);
  }

  /** The chain's head with record `i` in it; a record that is missing before it breaks the chain for good. */
  #follow(position: StreamPosition, batch: Batch, i: number, fingerprint: Buffer): Buffer | null {
    if (this.missing > 0) position.head = null;
    const { head } = position;
    if (head !== null)
      this.#chain.move(head, position.seq, fingerprint, batch.bytes, batch.values[2 * i]!, batch.values[2 * i + 1]!);
    return head;
  }

  /** Moves every host's clock by the time that passed since its first tick after its newest event, never to the verifier's time. */
  #ticked(tick: Tick): void {
    this.stream = '';
    this.seq = -1;
    this.tick = tick.number;
    this.missing = 0;
    this.head = null;
    // By name, not by slot: slots depend on what a restart happened to restore first.
    const hosts = [...this.#hosts].sort((a, b) => a.key.compare(b.key));
    for (const host of hosts) {
      if (host.state === undefined) continue;
      this.#host = host;
      if (host.issued < 0) host.issued = tick.issued;
      const clock = host.lastAt + (tick.issued - host.issued) - tick.grace;
      if (host.due <= clock) this.#fire(host, clock);
      if (clock > host.clock) host.clock = clock;
      this.now = host.clock;
      if (!host.changed) {
        host.changed = true;
        this.#changed.push(host);
      }
      if (this.#fold.tick !== undefined) host.state = this.#fold.tick(host.state, tick, this);
    }
    this.tick = null;
  }

  #refuse(batch: Batch, i: number, code: ErrorCode, reason: string): void {
    const offset = batch.offsets[i]!;
    const slice = (pairs: Int32Array): Buffer | null =>
      pairs[2 * i]! < 0
        ? null
        : Buffer.from(batch.bytes.subarray(pairs[2 * i]!, Math.min(pairs[2 * i + 1]!, pairs[2 * i]! + KEPT_BYTES)));
    const schema = batch.schemas[i]!;
    this.#deadLetter({
      offset,
      end: offset + 1,
      code,
      message: `${batch.topic}/${batch.partition}@${offset}: ${reason}`,
      timestamp: batch.timestamps[i]!,
      key: slice(batch.keys),
      value: slice(batch.values),
      schema: schema < 0 ? null : this.#schemas.at(schema).fingerprint.toString('hex'),
    });
  }

  #damaged(from: number, to: number, code: ErrorCode, message: string): void {
    this.#deadLetter({ offset: from, end: to, code, message, timestamp: -1, key: null, value: null, schema: null });
  }

  #deadLetter(letter: Omit<Records['DeadLetter'], 'topic' | 'partition'>): void {
    this.counts.deadLetters++;
    const { topic, partition } = this.coordinates;
    this.#outputs.push({
      topic: 'dead-letters',
      entry: {
        key: letter.key,
        schema: this.#deadLetterSchema,
        value: encodeRecord('DeadLetter', { topic, partition, ...letter }),
      },
    });
  }

  #snapshot(host: Host<State>): Snapshot {
    return {
      key: host.key,
      fold: this.#foldName,
      clock: host.clock,
      lastAt: host.lastAt,
      issued: host.issued,
      state: this.#fold.encode(this.#stateOf(host)),
      timers: host.timers.snapshot(),
      seen: host.streams.snapshot(),
      told: [...host.told].map(([by, newest]) => ({ by: Buffer.from(by, 'hex'), ...newest })),
      digest: host.head,
      conclusions: host.conclusions,
    };
  }

  #controllerSnapshot(): Snapshot {
    const none = Buffer.alloc(0);
    return {
      key: CONTROLLER_KEY,
      fold: this.#foldName,
      clock: 0,
      lastAt: 0,
      issued: -1,
      state: this.#controller.encode(),
      timers: [],
      seen: [],
      told: [],
      digest: none,
      conclusions: none,
    };
  }
}

/** An engine for one partition of the fold's topic. */
export const createEngine = <Types extends RecordName, State>(options: EngineOptions<Types, State>): Engine =>
  new PartitionEngine(options);
