const HEAD = 32;
const FIRST_ROOM = 8;

/** The newest heads of a stream's chain, by seq, which has no holes: side by side, as there is one for every record of a host. */
export class HeadWindow {
  #most: number;
  #bytes: Buffer = Buffer.alloc(0);
  /** A ring: place of the oldest head, and how many there are. */
  #oldest = 0;
  #count = 0;
  #first = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get size(): number {
    return this.#count;
  }

  /** Copies the head. One that does not follow the newest begins anew. */
  add(seq: number, head: Buffer): void {
    if (this.#count > 0 && seq !== this.#first + this.#count) this.#count = 0;
    if (this.#count === 0) this.#first = seq;
    if (this.#count === this.#most) this.#drop(1);
    const room = this.#bytes.length / HEAD;
    if (this.#count === room) this.#grow(Math.min(this.#most, Math.max(FIRST_ROOM, room * 4)));
    this.#bytes.set(head, this.#place(this.#count));
    this.#count++;
  }

  /** A view that the next `add` may change; undefined: not kept. */
  get(seq: number): Buffer | undefined {
    const i = seq - this.#first;
    return i >= 0 && i < this.#count ? this.#at(i) : undefined;
  }

  /** Whether the newest head lies at `seq` or behind it. */
  reaches(seq: number): boolean {
    return this.#count > 0 && this.#first + this.#count > seq;
  }

  clear(): void {
    this.#bytes = Buffer.alloc(0);
    this.#oldest = 0;
    this.#count = 0;
  }

  /** Forgets all heads before `seq`. */
  dropBefore(seq: number): void {
    this.#drop(Math.max(0, Math.min(this.#count, seq - this.#first)));
  }

  /** From now on keeps as many, which are no fewer than before. */
  widen(most: number): void {
    this.#most = most;
  }

  /** Seq of the oldest head. */
  get first(): number {
    return this.#first;
  }

  /** A copy of all heads side by side, oldest first. */
  bytes(): Buffer {
    const oldest = this.#oldest * HEAD;
    return Buffer.concat([this.#bytes.subarray(oldest), this.#bytes.subarray(0, oldest)], this.#count * HEAD);
  }

  /** Oldest first. */
  entries(): (readonly [seq: number, head: Buffer])[] {
    return Array.from({ length: this.#count }, (_, i) => [this.#first + i, this.#at(i)] as const);
  }

  #drop(count: number): void {
    const room = this.#bytes.length / HEAD;
    if (room > 0) this.#oldest = (this.#oldest + count) % room;
    this.#first += count;
    this.#count -= count;
  }

  #place(i: number): number {
    return ((this.#oldest + i) % (this.#bytes.length / HEAD)) * HEAD;
  }

  #at(i: number): Buffer {
    const place = this.#place(i);
    return this.#bytes.subarray(place, place + HEAD);
  }

  /** The ring is full. */
  #grow(room: number): void {
    const bytes = Buffer.alloc(room * HEAD);
    const oldest = this.#oldest * HEAD;
    const behind = this.#bytes.length - oldest;
    this.#bytes.copy(bytes, 0, oldest);
    this.#bytes.copy(bytes, behind, 0, oldest);
    this.#bytes = bytes;
    this.#oldest = 0;
  }
}
