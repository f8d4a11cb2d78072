import { areWords, hashOf, viewOf, wordsOf } from './byte-words.js';

/**
 * Strings of a stream repeat: names of functions, processes, parameters. This direct-mapped cache gives the same bytes the
 * same string object without making one, and forgets a string when another needs its place, so that it never grows.
 */
export class Words {
  readonly #mask: number;
  readonly #strings: string[];
  readonly #words: Int32Array[];
  /** In bytes. */
  readonly #lengths: Int32Array;

  /** @param size number of places, a power of two */
  constructor(size = 4096) {
    this.#mask = size - 1;
    this.#strings = new Array<string>(size).fill('');
    this.#words = new Array<Int32Array>(size).fill(new Int32Array(0));
    this.#lengths = new Int32Array(size);
  }

  /** The UTF-8 string in bytes [start, end). */
  of(bytes: Buffer, start: number, end: number): string {
    // A long string is one of its kind: caching it would only pin its memory.
    if (end - start > 256) return bytes.toString('utf8', start, end);
    const view = viewOf(bytes);
    const place = hashOf(view, start, end) & this.#mask;
    if (this.#lengths[place] === end - start && areWords(this.#words[place]!, view, start, end))
      return this.#strings[place]!;
    const made = bytes.toString('utf8', start, end);
    this.#lengths[place] = end - start;
    this.#words[place] = wordsOf(view, start, end);
    this.#strings[place] = made;
    return made;
  }
}
