import type { Slot } from './fold.js';

/**
 * Interns keys, word by word, into dense slot numbers. A string is made once per key, at its first appearance.
 * Open addressing over the key's bytes; keys are never removed (a partition's hosts are few beside its events).
 */
export class KeyTable {
  #places = new Int32Array(1024).fill(-1);
  #hashes: number[] = [];
  readonly #keys: Uint8Array[] = [];
  #last = -1;

  get size(): number {
    return this.#keys.length;
  }

  /** Slot of the key in bytes [start, end); a new key gets the next number. */
  slot(bytes: Uint8Array, start: number, end: number): Slot {
    if (this.#last >= 0 && this.#equals(this.#last, bytes, start, end)) return this.#last;
    const hash = hashOf(bytes, start, end);
    const mask = this.#places.length - 1;
    let place = hash & mask;
    for (let slot = this.#places[place]!; slot >= 0; slot = this.#places[place]!) {
      if (this.#hashes[slot] === hash && this.#equals(slot, bytes, start, end)) {
        this.#last = slot;
        return slot;
      }
      place = (place + 1) & mask;
    }
    const slot = this.#keys.length;
    this.#keys.push(Uint8Array.prototype.slice.call(bytes, start, end));
    this.#hashes.push(hash);
    this.#places[place] = slot;
    if (this.#keys.length * 2 > this.#places.length) this.#grow();
    this.#last = slot;
    return slot;
  }

  key(slot: Slot): Buffer {
    const key = this.#keys[slot]!;
    return Buffer.from(key.buffer, key.byteOffset, key.length);
  }

  #equals(slot: Slot, bytes: Uint8Array, start: number, end: number): boolean {
    const key = this.#keys[slot]!;
    const length = end - start;
    if (key.length !== length) return false;
    for (let i = 0; i < length; i++) if (key[i] !== bytes[start + i]) return false;
    return true;
  }

  #grow(): void {
    const places = new Int32Array(this.#places.length * 2).fill(-1);
    const mask = places.length - 1;
    for (let slot = 0; slot < this.#hashes.length; slot++) {
      let place = this.#hashes[slot]! & mask;
      while (places[place]! >= 0) place = (place + 1) & mask;
      places[place] = slot;
    }
    this.#places = places;
  }
}

/** Four bytes a step; the tail byte by byte. Not keyed: who can choose hosts can only slow down their own partition. */
const hashOf = (bytes: Uint8Array, start: number, end: number): number => {
  let hash = end - start;
  let i = start;
  for (; i + 4 <= end; i += 4) {
    const word = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    hash = Math.imul(hash ^ word, 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  for (; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  return (hash ^ (hash >>> 13)) & 0x7fffffff;
};
