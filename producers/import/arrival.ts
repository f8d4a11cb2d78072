import TinyQueue from 'tinyqueue';
import type { Observation } from './observation.js';

interface Waiting {
  readonly received: number;
  readonly order: number;
  readonly cost: number;
  readonly observation: Observation;
}

/** Rows, and bytes of the file, that wait for an earlier arrival. */
const MAX_ROWS = 50_000;
const MAX_COST = 64 * 1024 * 1024;

const byArrival = (a: Waiting, b: Waiting): number => a.received - b.received || a.order - b.order;

/**
 * Gives rows in their order of arrival: that of the file as long as no row says otherwise, from then on by `receivedAt`,
 * equal ones in the file's order; a row without one arrived with the row before it. The window is bounded: a row that
 * arrived earlier than one that has already left it comes right after that one, and is counted.
 */
export class Arrival {
  readonly #give: (observation: Observation) => void;
  readonly #waiting = new TinyQueue<Waiting>([], byArrival);
  #cost = 0;
  #order = 0;
  #active = false;
  #last = Number.NEGATIVE_INFINITY;
  #given = Number.NEGATIVE_INFINITY;
  /** Rows that could not be brought to their place. */
  displaced = 0;

  constructor(give: (observation: Observation) => void) {
    this.#give = give;
  }

  /** @param cost bytes that the row holds in memory, roughly */
  put(observation: Observation, cost: number): void {
    if (!this.#active) {
      if (observation.receivedAt === null) {
        this.#give(observation);
        return;
      }
      this.#active = true;
    }
    const received = observation.receivedAt ?? this.#last;
    this.#last = received;
    this.#waiting.push({ received, order: this.#order++, cost, observation });
    this.#cost += cost;
    while (this.#waiting.length > MAX_ROWS || this.#cost > MAX_COST) this.#pop();
  }

  end(): void {
    while (this.#waiting.length > 0) this.#pop();
  }

  #pop(): void {
    const top = this.#waiting.pop()!;
    this.#cost -= top.cost;
    if (top.received < this.#given) this.displaced++;
    else this.#given = top.received;
    this.#give(top.observation);
  }
}
