import type { Batch } from '../infra/log/event-log.js';
import { encodeRecord, type SchemaTable } from '../schemas/codec.js';
import type { Activation } from '../schemas/records.js';

/** The peers' job: events of 100 bytes, key included, made in process; 1,000 keys, 8 kinds of events. */
export const KEYS = 1000;
export const EVENT_BYTES = 100;
const KEY_BYTES = 8;
const KEY_WORDS = KEY_BYTES / 4;
const STREAM_WORDS = 8;
const SEQ = KEY_BYTES + 32;
const AT = SEQ + 3;
const NOT_BEFORE = AT + 8;
/** From the key to the function's last letter, which tells its kind: see `template`. */
const KIND = 97;

/** In zigzag three bytes long from here to 2^20. */
const FIRST_SEQ = 8192;
/** µs, a multiple of 2^27: the low four bytes of its varint are zero, and 2^27 events leave the others alone. */
const FIRST_AT = Math.floor(1_700_000_000_000_000 / 2 ** 27) * 2 ** 27;

/** All records have the same layout: what changes from one to the next is written at fixed places. */
const template = (): Buffer => {
  const activation: Activation = {
    stream: Buffer.alloc(32),
    seq: FIRST_SEQ,
    at: FIRST_AT,
    notBefore: FIRST_AT,
    end: null,
    process: 'c0ffee00/bin/thermostat/104',
    thread: 0,
    function: 'handle_0',
    beginning: true,
    parameters: [],
  };
  const body = encodeRecord('Activation', activation);
  const record = Buffer.concat([Buffer.alloc(KEY_BYTES), body]);
  if (record.length !== EVENT_BYTES || record[KIND] !== 0x30) throw new Error('the layout of an activation changed');
  return record;
};

/** Makes events into one batch that is used again and again, as a log's reader does. */
export class PeersJob {
  readonly #batch: Batch;
  readonly #bytes: Buffer;
  readonly #words: Int32Array;
  /** Key and stream of each host, as words. */
  readonly #identities = new Int32Array(KEYS * (KEY_WORDS + STREAM_WORDS));
  readonly #seqs = new Int32Array(KEYS).fill(FIRST_SEQ);
  #made = 0;

  constructor(schemas: SchemaTable, length = 8192) {
    const record = template();
    this.#bytes = Buffer.from(new ArrayBuffer(length * EVENT_BYTES));
    this.#words = new Int32Array(this.#bytes.buffer);
    for (let i = 0; i < length; i++) record.copy(this.#bytes, i * EVENT_BYTES);
    const identities = Buffer.from(this.#identities.buffer);
    for (let key = 0; key < KEYS; key++) {
      const at = key * (KEY_BYTES + 32);
      identities.write(`host-${String(key).padStart(3, '0')}`, at, 'latin1');
      for (let i = 0; i < 32; i++) identities[at + KEY_BYTES + i] = (key * 31 + i * 7 + (key >> 4)) & 255;
    }
    this.#batch = {
      topic: 'memory',
      partition: 0,
      length,
      next: 0,
      offsets: new Float64Array(length),
      timestamps: new Float64Array(length),
      bytes: this.#bytes,
      keys: Int32Array.from({ length: 2 * length }, (_, i) => (i >> 1) * EVENT_BYTES + (i & 1) * KEY_BYTES),
      values: Int32Array.from(
        { length: 2 * length },
        (_, i) => (i >> 1) * EVENT_BYTES + ((i & 1) === 0 ? KEY_BYTES : EVENT_BYTES),
      ),
      schemas: new Int32Array(length).fill(schemas.current('Activation')),
      headers: () => [],
      damage: [],
    };
  }

  /** The next events, in the batch that the last call gave. */
  next(): Batch {
    const batch = this.#batch;
    const bytes = this.#bytes;
    const words = this.#words;
    const identities = this.#identities;
    const { length, offsets } = batch;
    let n = this.#made;
    for (let i = 0; i < length; i++, n++) {
      let mixed = Math.imul(n, 0x9e3779b1);
      mixed ^= mixed >>> 15;
      const key = (mixed >>> 8) % KEYS;
      const start = i * EVENT_BYTES;
      const from = key * (KEY_WORDS + STREAM_WORDS);
      const to = start >> 2;
      for (let w = 0; w < KEY_WORDS + STREAM_WORDS; w++) words[to + w] = identities[from + w]!;
      const seq = this.#seqs[key]!++ << 1;
      bytes[start + SEQ] = (seq & 127) | 128;
      bytes[start + SEQ + 1] = ((seq >>> 7) & 127) | 128;
      bytes[start + SEQ + 2] = seq >>> 14;
      const at = n << 1;
      bytes[start + AT] = bytes[start + NOT_BEFORE] = (at & 127) | 128;
      bytes[start + AT + 1] = bytes[start + NOT_BEFORE + 1] = ((at >>> 7) & 127) | 128;
      bytes[start + AT + 2] = bytes[start + NOT_BEFORE + 2] = ((at >>> 14) & 127) | 128;
      bytes[start + AT + 3] = bytes[start + NOT_BEFORE + 3] = ((at >>> 21) & 127) | 128;
      bytes[start + KIND] = 0x30 + (mixed & 7);
      offsets[i] = n;
    }
    this.#made = n;
    return Object.assign(batch, { next: n });
  }
}
