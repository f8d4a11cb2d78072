import type { Micros } from '../../schemas/records.js';

export interface Timer {
  readonly at: Micros;
  readonly id: number;
  /** Order of registration breaks ties, and is part of a snapshot. */
  readonly registered: number;
}

const before = (a: Timer, b: Timer): boolean => a.at < b.at || (a.at === b.at && a.registered < b.registered);

/** The timers of one key: a binary heap in order (deadline, registration). One timer per id; setting it again replaces it. */
export class Timers {
  readonly #heap: Timer[] = [];
  /** Current timer of an id; older ones in the heap are dead and dropped when they surface. */
  readonly #live = new Map<number, Timer>();
  #registrations = 0;

  /** Earliest deadline, Infinity if there is none. */
  get due(): Micros {
    const heap = this.#heap;
    while (heap.length > 0 && this.#live.get(heap[0]!.id) !== heap[0]) this.#pop();
    return heap.length === 0 ? Number.POSITIVE_INFINITY : heap[0]!.at;
  }

  set(at: Micros, id: number): void {
    this.#insert({ at, id, registered: this.#registrations++ });
  }

  clear(id: number): void {
    this.#live.delete(id);
  }

  /** Removes and gives the earliest timer; call only while `due` is finite. */
  take(): Timer {
    const timer = this.#pop();
    this.#live.delete(timer.id);
    return timer;
  }

  /** All timers in order. */
  snapshot(): readonly Timer[] {
    return [...this.#live.values()].sort((a, b) => a.at - b.at || a.registered - b.registered);
  }

  restore(timers: readonly Timer[]): void {
    for (const timer of timers) {
      this.#insert(timer);
      this.#registrations = Math.max(this.#registrations, timer.registered + 1);
    }
  }

  #insert(timer: Timer): void {
    this.#live.set(timer.id, timer);
    const heap = this.#heap;
    // Replaced timers stay in the heap until they surface; rebuild before they outnumber the live ones.
    if (heap.length > 2 * this.#live.size + 16) {
      const live = heap.filter((old) => this.#live.get(old.id) === old);
      heap.length = 0;
      for (const old of live) this.#push(old);
    }
    this.#push(timer);
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let i = heap.length;
    heap.push(timer);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(timer, heap[parent]!)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = timer;
  }

  #pop(): Timer {
    const heap = this.#heap;
    const top = heap[0]!;
    const last = heap.pop()!;
    if (heap.length > 0) {
      let i = 0;
      for (;;) {
        let child = 2 * i + 1;
        if (child >= heap.length) break;
        if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
        if (!before(heap[child]!, last)) break;
        heap[i] = heap[child]!;
        i = child;
      }
      heap[i] = last;
    }
    return top;
  }
}
