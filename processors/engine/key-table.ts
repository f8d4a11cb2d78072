import { hashOf, viewOf, wordsOf } from '../../schemas/byte-words.js';
import type { Slot } from './fold.js';

const FIRST_PLACES = 1024;

/**
 * Interns keys, word by word, into dense slot numbers. A string is made once per key, at its first appearance.
 * Open addressing over the key's bytes; keys are never removed (a partition's hosts are few beside its events).
 */
export class KeyTable {
  /** Pairs: slot (−1: free) and hash, side by side so that one look at memory tells most. */
  #places = new Int32Array(2 * FIRST_PLACES).fill(-1);
  /** Pairs by slot: where the key's words begin in `#words`, and its length in bytes. */
  #spans = new Int32Array(FIRST_PLACES);
  /** The words of all keys, one key after the other. */
  #words = new Int32Array(4 * FIRST_PLACES);
  #used = 0;
  readonly #keys: Buffer[] = [];
  #last = -1;

  get size(): number {
    return this.#keys.length;
  }

  /** Slot of the key in bytes [start, end); a new key gets the next number. */
  slot(bytes: Uint8Array, start: number, end: number): Slot {
    const view = viewOf(bytes);
    if (this.#last >= 0 && this.#is(this.#last, view, start, end)) return this.#last;
    const hash = hashOf(view, start, end);
    const places = this.#places;
    const mask = places.length - 1;
    let place = (hash << 1) & mask;
    for (let slot = places[place]!; slot >= 0; slot = places[place]!) {
      if (places[place + 1] === hash && this.#is(slot, view, start, end)) {
        this.#last = slot;
        return slot;
      }
      place = (place + 2) & mask;
    }
    const slot = this.#add(bytes, view, start, end);
    places[place] = slot;
    places[place + 1] = hash;
    if (this.#keys.length * 4 > places.length) this.#grow();
    this.#last = slot;
    return slot;
  }

  key(slot: Slot): Buffer {
    return this.#keys[slot]!;
  }

  #is(slot: Slot, view: DataView, start: number, end: number): boolean {
    const spans = this.#spans;
    if (spans[2 * slot + 1] !== end - start) return false;
    const words = this.#words;
    let word = spans[2 * slot]!;
    let i = start;
    for (; i + 4 <= end; i += 4) if (words[word++] !== view.getInt32(i, true)) return false;
    // The last word of the key holds up to three bytes, the rest of it zeros.
    for (let shift = 0; i < end; i++, shift += 8)
      if (((words[word]! >>> shift) & 255) !== view.getUint8(i)) return false;
    return true;
  }

  #add(bytes: Uint8Array, view: DataView, start: number, end: number): Slot {
    const slot = this.#keys.length;
    const words = wordsOf(view, start, end);
    this.#words = roomFor(this.#words, this.#used + words.length);
    this.#words.set(words, this.#used);
    this.#spans = roomFor(this.#spans, 2 * slot + 2);
    this.#spans[2 * slot] = this.#used;
    this.#spans[2 * slot + 1] = end - start;
    this.#used += words.length;
    this.#keys.push(Buffer.from(Uint8Array.prototype.slice.call(bytes, start, end)));
    return slot;
  }

  #grow(): void {
    const old = this.#places;
    const places = new Int32Array(old.length * 2).fill(-1);
    const mask = places.length - 1;
    for (let from = 0; from < old.length; from += 2) {
      if (old[from]! < 0) continue;
      let place = (old[from + 1]! << 1) & mask;
      while (places[place]! >= 0) place = (place + 2) & mask;
      places[place] = old[from]!;
      places[place + 1] = old[from + 1]!;
    }
    this.#places = places;
  }
}

const roomFor = (list: Int32Array, length: number): Int32Array<ArrayBuffer> => {
  if (length <= list.length) return list as Int32Array<ArrayBuffer>;
  const larger = new Int32Array(Math.max(length, 2 * list.length));
  larger.set(list);
  return larger;
};
