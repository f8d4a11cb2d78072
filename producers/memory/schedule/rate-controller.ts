import type { Micros } from '../../../schemas/records.js';

export interface Budget {
  /** Looks per second at most. */
  readonly looks: number;
  /** Share of one CPU at most; Infinity: not bounded. */
  readonly cpu: number;
}

const PERIOD: Micros = 500_000;
/** Weight of the newest period. */
const GAIN = 0.5;

/**
 * Holds looks to a budget of looks per second and of CPU: from what the looks of each period cost, all that the process does
 * for them included, follows how many of them the CPU share allows.
 */
export class RateController {
  readonly #budget: Budget;
  #began: Micros | null = null;
  #looks = 0;
  #micros = 0;
  /** CPU µs per look, everything included; 0: not known yet. */
  #cost = 0;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  /** A look was made that took so long. */
  spent(micros: number): void {
    this.#looks++;
    this.#micros += micros;
  }

  /**
   * Looks per second from now on; null between periods. `overhead`: CPU time of the whole process for each µs of look.
   */
  adjust(now: Micros, overhead: number): number | null {
    this.#began ??= now;
    if (now - this.#began < PERIOD) return null;
    if (this.#looks > 0) {
      const cost = (this.#micros / this.#looks) * overhead;
      this.#cost = this.#cost === 0 ? cost : this.#cost + GAIN * (cost - this.#cost);
    }
    this.#began = now;
    this.#looks = 0;
    this.#micros = 0;
    return this.rate;
  }

  get rate(): number {
    const { looks, cpu } = this.#budget;
    return this.#cost === 0 ? looks : Math.min(looks, (cpu * 1e6) / this.#cost);
  }
}
