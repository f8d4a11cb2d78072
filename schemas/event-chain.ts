import { copyWords, viewOf } from './byte-words.js';
import { sha256Into } from './sha256.js';
import { taggedHash, u64be } from './tagged-hash.js';

const TAG = 'attestream/chain/1';

/** c₋₁: what a stream's chain of events starts from. */
export const CHAIN_START: Buffer = Buffer.alloc(32);

/**
 * cₙ = T(attestream/chain/1, cₙ₋₁, u64be seq, topic, fingerprint, body): the head of a stream's events in one topic.
 * @param topic without prefix
 * @param fingerprint CRC-64-AVRO of the writer schema, 8 bytes little-endian
 * @param body Avro body without any wire header, whose schema id would be the registry's own
 */
export const nextChainHead = (
  head: Uint8Array,
  seq: number,
  topic: string,
  fingerprint: Uint8Array,
  body: Uint8Array,
): Buffer => taggedHash(TAG, head, u64be(seq), topic, fingerprint, body);

const FINGERPRINT_BYTES = 8;
/** Bodies up to this length find room beside what stands before them. */
const SHORT_BODY = 2048;

/** Follows chains of one topic: what every hash of it begins with is put together once, and heads are moved where they lie. */
export class EventChain {
  readonly #topic: string;
  /** `u32be length ‖ bytes` of tag, head, seq, topic, fingerprint, body, one behind the other. */
  readonly #input: Buffer;
  readonly #view: DataView;
  /** The input up to the end of a body, by its length: there are few lengths, and a view costs as much as a short hash. */
  readonly #inputs: (Buffer | undefined)[] = new Array(SHORT_BODY + 1).fill(undefined);
  readonly #head: number;
  readonly #seq: number;
  readonly #fingerprint: number;
  readonly #body: number;

  /** @param topic without prefix */
  constructor(topic: string) {
    this.#topic = topic;
    const parts = [Buffer.from(TAG), CHAIN_START, u64be(0), Buffer.from(topic), Buffer.alloc(FINGERPRINT_BYTES)];
    const starts: number[] = [];
    let end = 0;
    for (const { length } of parts) {
      starts.push(end + 4);
      end += 4 + length;
    }
    this.#input = Buffer.alloc(end + 4 + SHORT_BODY);
    for (const [i, part] of parts.entries()) {
      this.#input.writeUInt32BE(part.length, starts[i]! - 4);
      this.#input.set(part, starts[i]!);
    }
    this.#view = new DataView(this.#input.buffer, this.#input.byteOffset, this.#input.length);
    this.#head = starts[1]!;
    this.#seq = starts[2]!;
    this.#fingerprint = starts[4]!;
    this.#body = end + 4;
  }

  /** Turns `head` into the head with the record in it whose body is [start, end) of `bytes`. */
  move(head: Buffer, seq: number, fingerprint: Buffer, bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    if (length > SHORT_BODY || fingerprint.length !== FINGERPRINT_BYTES) {
      head.set(nextChainHead(head, seq, this.#topic, fingerprint, bytes.subarray(start, end)));
      return;
    }
    const input = this.#input;
    const view = this.#view;
    for (let i = 0, at = this.#head; i < 32; i++, at++) input[at] = head[i]!;
    view.setUint32(this.#seq, Math.floor(seq / 0x1_0000_0000));
    view.setUint32(this.#seq + 4, seq >>> 0);
    for (let i = 0, at = this.#fingerprint; i < FINGERPRINT_BYTES; i++, at++) input[at] = fingerprint[i]!;
    const body = this.#body;
    view.setUint32(body - 4, length);
    copyWords(viewOf(bytes), start, end, view, body);
    this.#inputs[length] ??= input.subarray(0, body + length);
    sha256Into(this.#inputs[length], head);
  }
}
