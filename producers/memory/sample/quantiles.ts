/** Buckets per doubling: a quantile is told within 5 %. */
const FINENESS = 8;
const BUCKETS = 48 * FINENESS;

/** Counts of non-negative numbers on a logarithmic scale, for quantiles of any number of them in fixed memory. */
export class Quantiles {
  readonly #counts = new Uint32Array(BUCKETS);
  #total = 0;

  add(value: number): void {
    const bucket = Math.floor(Math.log2(Math.max(0, value) + 1) * FINENESS);
    this.#counts[Math.min(BUCKETS - 1, bucket)]!++;
    this.#total++;
  }

  get count(): number {
    return this.#total;
  }

  /** The value at share `q`, rounded; 0 if there is none. */
  at(q: number): number {
    let left = Math.floor(Math.max(0, this.#total - 1) * q);
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.#counts[bucket]!;
      if (left < 0) return Math.round(2 ** ((bucket + 0.5) / FINENESS) - 1);
    }
    return 0;
  }
}
