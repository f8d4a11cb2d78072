import TinyQueue from 'tinyqueue';
import type { Micros } from '../../schemas/records.js';

export interface Timer {
  readonly at: Micros;
  readonly id: number;
  /** Order of registration breaks ties, and is part of a snapshot. */
  readonly registered: number;
}

const byDeadline = (a: Timer, b: Timer): number => a.at - b.at || a.registered - b.registered;

/** The timers of one key in order (deadline, registration). One timer per id; setting it again replaces it. */
export class Timers {
  #queue = new TinyQueue<Timer>([], byDeadline);
  /** Current timer of an id; older ones in the queue are dead and dropped when they surface. */
  readonly #live = new Map<number, Timer>();
  #registrations = 0;

  /** Earliest deadline, Infinity if there is none. */
  get due(): Micros {
    for (let first = this.#queue.peek(); first !== undefined; first = this.#queue.peek()) {
      if (this.#live.get(first.id) === first) return first.at;
      this.#queue.pop();
    }
    return Number.POSITIVE_INFINITY;
  }

  get size(): number {
    return this.#live.size;
  }

  set(at: Micros, id: number): void {
    this.#insert({ at, id, registered: this.#registrations++ });
  }

  clear(id: number): void {
    this.#live.delete(id);
  }

  /** Removes and gives the earliest timer; call only while `due` is finite. */
  take(): Timer {
    const timer = this.#queue.pop()!;
    this.#live.delete(timer.id);
    return timer;
  }

  /** All timers in order. */
  snapshot(): readonly Timer[] {
    return [...this.#live.values()].sort(byDeadline);
  }

  restore(timers: readonly Timer[]): void {
    for (const timer of timers) {
      this.#insert(timer);
      this.#registrations = Math.max(this.#registrations, timer.registered + 1);
    }
  }

  #insert(timer: Timer): void {
    this.#live.set(timer.id, timer);
    // Replaced timers stay in the queue until they surface; rebuild before they outnumber the live ones.
    if (this.#queue.length > 2 * this.#live.size + 16)
      this.#queue = new TinyQueue([...this.#live.values()], byDeadline);
    else this.#queue.push(timer);
  }
}
