import { areWords, hashOf, viewOf, wordsOf } from '../../schemas/byte-words.js';
import type { Slot } from './fold.js';

interface Key {
  readonly bytes: Buffer;
  readonly words: Int32Array;
  readonly length: number;
  readonly hash: number;
}

/**
 * Interns keys, word by word, into dense slot numbers. A string is made once per key, at its first appearance.
 * Open addressing over the key's bytes; keys are never removed (a partition's hosts are few beside its events).
 */
export class KeyTable {
  #places = new Int32Array(1024).fill(-1);
  readonly #keys: Key[] = [];
  #last = -1;

  get size(): number {
    return this.#keys.length;
  }

  /** Slot of the key in bytes [start, end); a new key gets the next number. */
  slot(bytes: Uint8Array, start: number, end: number): Slot {
    const view = viewOf(bytes);
    const length = end - start;
    if (this.#last >= 0) {
      const last = this.#keys[this.#last]!;
      if (last.length === length && areWords(last.words, view, start, end)) return this.#last;
    }
    const hash = hashOf(view, start, end);
    const places = this.#places;
    const mask = places.length - 1;
    let place = hash & mask;
    for (let slot = places[place]!; slot >= 0; slot = places[place]!) {
      const key = this.#keys[slot]!;
      if (key.hash === hash && key.length === length && areWords(key.words, view, start, end)) {
        this.#last = slot;
        return slot;
      }
      place = (place + 1) & mask;
    }
    const slot = this.#keys.length;
    this.#keys.push({
      bytes: Buffer.from(Uint8Array.prototype.slice.call(bytes, start, end)),
      words: wordsOf(view, start, end),
      length,
      hash,
    });
    places[place] = slot;
    if (this.#keys.length * 2 > places.length) this.#grow();
    this.#last = slot;
    return slot;
  }

  key(slot: Slot): Buffer {
    return this.#keys[slot]!.bytes;
  }

  #grow(): void {
    const places = new Int32Array(this.#places.length * 2).fill(-1);
    const mask = places.length - 1;
    for (let slot = 0; slot < this.#keys.length; slot++) {
      let place = this.#keys[slot]!.hash & mask;
      while (places[place]! >= 0) place = (place + 1) & mask;
      places[place] = slot;
    }
    this.#places = places;
  }
}
