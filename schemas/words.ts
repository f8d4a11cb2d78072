/**
 * Strings of a stream repeat: names of functions, processes, parameters. This direct-mapped cache gives the same bytes the
 * same string object without making one, and forgets a string when another needs its place, so that it never grows.
 */
export class Words {
  readonly #mask: number;
  readonly #strings: string[];
  readonly #bytes: Uint8Array[];

  /** @param size number of places, a power of two */
  constructor(size = 4096) {
    this.#mask = size - 1;
    this.#strings = new Array<string>(size).fill('');
    this.#bytes = new Array<Uint8Array>(size).fill(new Uint8Array(0));
  }

  /** The UTF-8 string in bytes [start, end). */
  of(bytes: Buffer, start: number, end: number): string {
    const length = end - start;
    let hash = length;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
    const place = (hash ^ (hash >>> 15)) & this.#mask;
    const known = this.#bytes[place]!;
    if (known.length === length) {
      let i = 0;
      while (i < length && known[i] === bytes[start + i]) i++;
      if (i === length) return this.#strings[place]!;
    }
    const made = bytes.toString('utf8', start, end);
    // A long string is one of its kind: caching it would only pin its memory.
    if (length <= 256) {
      this.#bytes[place] = Uint8Array.prototype.slice.call(bytes, start, end);
      this.#strings[place] = made;
    }
    return made;
  }
}
