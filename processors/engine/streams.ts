import { viewOf } from '../../schemas/byte-words.js';
import { CHAIN_START } from '../../schemas/event-chain.js';

/** Streams of one host that are remembered: each restart of an agent opens a new one, and old ones do not come back. */
const REMEMBERED = 16;

const NO_HEAD = Buffer.alloc(0);

/** A stream by the eight words of its name, in fields: comparing them is all that most events need. */
export class StreamPosition {
  seq = -1;
  /** Head of the event chain at `seq`, moved in place; null: not followed, or a record was missing. */
  head: Buffer | null = null;
  readonly #a: number;
  readonly #b: number;
  readonly #c: number;
  readonly #d: number;
  readonly #e: number;
  readonly #f: number;
  readonly #g: number;
  readonly #h: number;
  readonly stream: Buffer;
  readonly hex: string;

  constructor(bytes: Uint8Array, start: number) {
    const view = viewOf(bytes);
    this.#a = view.getInt32(start, true);
    this.#b = view.getInt32(start + 4, true);
    this.#c = view.getInt32(start + 8, true);
    this.#d = view.getInt32(start + 12, true);
    this.#e = view.getInt32(start + 16, true);
    this.#f = view.getInt32(start + 20, true);
    this.#g = view.getInt32(start + 24, true);
    this.#h = view.getInt32(start + 28, true);
    this.stream = Buffer.from(Uint8Array.prototype.slice.call(bytes, start, start + 32));
    this.hex = this.stream.toString('hex');
  }

  /** Whether its name is in the 32 bytes at `start`. */
  is(view: DataView, start: number): boolean {
    return (
      this.#a === view.getInt32(start, true) &&
      this.#b === view.getInt32(start + 4, true) &&
      this.#c === view.getInt32(start + 8, true) &&
      this.#d === view.getInt32(start + 12, true) &&
      this.#e === view.getInt32(start + 16, true) &&
      this.#f === view.getInt32(start + 20, true) &&
      this.#g === view.getInt32(start + 24, true) &&
      this.#h === view.getInt32(start + 28, true)
    );
  }
}

/** Highest seq seen per stream of one host: tells resends and gaps. */
export class Streams {
  /** Most recently used first. */
  #positions: StreamPosition[] = [];
  #newest: StreamPosition | null = null;
  readonly #followed: boolean;

  /** @param followed chains are followed from each stream's beginning */
  constructor(followed: boolean) {
    this.#followed = followed;
  }

  /** The stream of the newest event. */
  get newest(): StreamPosition | null {
    return this.#newest;
  }

  /** Highest seq seen of a stream (32 bytes); −1: none. */
  reached(stream: Buffer): number {
    const view = viewOf(stream);
    return this.#positions.find((known) => known.is(view, 0))?.seq ?? -1;
  }

  /** Position of the stream whose 32 bytes start at `start`; a new stream begins at −1. */
  position(bytes: Uint8Array, start: number): StreamPosition {
    const newest = this.#newest;
    if (newest?.is(viewOf(bytes), start)) return newest;
    return this.#other(bytes, start);
  }

  snapshot(): readonly { readonly stream: Buffer; readonly seq: number; readonly head: Buffer }[] {
    return this.#positions.map(({ stream, seq, head }) => ({
      stream,
      seq,
      head: head === null ? NO_HEAD : Buffer.from(head),
    }));
  }

  restore(positions: readonly { readonly stream: Buffer; readonly seq: number; readonly head: Buffer }[]): void {
    this.#positions = positions.map(({ stream, seq, head }) => {
      const position = new StreamPosition(stream, 0);
      position.seq = seq;
      position.head = head.length === 0 ? null : Buffer.from(head);
      return position;
    });
    this.#newest = this.#positions[0] ?? null;
  }

  #begin(bytes: Uint8Array, start: number): StreamPosition {
    const position = new StreamPosition(bytes, start);
    if (this.#followed) position.head = Buffer.from(CHAIN_START);
    return position;
  }

  #other(bytes: Uint8Array, start: number): StreamPosition {
    const view = viewOf(bytes);
    const at = this.#positions.findIndex((known) => known.is(view, start));
    const found = at < 0 ? this.#begin(bytes, start) : this.#positions.splice(at, 1)[0]!;
    this.#positions.unshift(found);
    if (this.#positions.length > REMEMBERED) this.#positions.pop();
    this.#newest = found;
    return found;
  }
}
