/** Streams of one host that are remembered: each restart of an agent opens a new one, and old ones do not come back. */
const REMEMBERED = 16;

export interface StreamPosition {
  readonly stream: Uint8Array;
  readonly hex: string;
  seq: number;
}

const same = (known: Uint8Array, bytes: Uint8Array, start: number): boolean => {
  for (let i = 0; i < 32; i++) if (known[i] !== bytes[start + i]) return false;
  return true;
};

/** Highest seq seen per stream of one host: tells resends and gaps. */
export class Streams {
  #positions: StreamPosition[] = [];

  /** Position of the stream whose 32 bytes start at `start`; a new stream begins at −1. */
  position(bytes: Uint8Array, start: number): StreamPosition {
    const newest = this.#positions[0];
    if (newest !== undefined && same(newest.stream, bytes, start)) return newest;
    return this.#other(bytes, start);
  }

  snapshot(): readonly { readonly stream: Buffer; readonly seq: number }[] {
    return this.#positions.map(({ stream, seq }) => ({ stream: Buffer.from(stream), seq }));
  }

  restore(positions: readonly { readonly stream: Buffer; readonly seq: number }[]): void {
    this.#positions = positions.map(({ stream, seq }) => ({
      stream: Uint8Array.from(stream),
      hex: stream.toString('hex'),
      seq,
    }));
  }

  #other(bytes: Uint8Array, start: number): StreamPosition {
    const at = this.#positions.findIndex((known) => same(known.stream, bytes, start));
    const stream = Uint8Array.prototype.slice.call(bytes, start, start + 32);
    const found =
      at < 0 ? { stream, hex: Buffer.from(stream).toString('hex'), seq: -1 } : this.#positions.splice(at, 1)[0]!;
    this.#positions.unshift(found);
    if (this.#positions.length > REMEMBERED) this.#positions.pop();
    return found;
  }
}
