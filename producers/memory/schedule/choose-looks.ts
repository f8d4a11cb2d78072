import type { Micros } from '../../../schemas/records.js';
import type { Candidate } from './windows.js';

/** What may be spent: looks saved up by `now`, and looks that come in per second. */
export interface Supply {
  readonly now: Micros;
  readonly tokens: number;
  readonly rate: number;
}

/**
 * The looks of highest total value that the supply allows, in the order of their instants. At every instant no more looks
 * have been chosen than tokens have come in. Such sets are a matroid (each prefix in time has its bound), so taking the
 * most valuable first is optimal.
 */
export const chooseLooks = (candidates: readonly Candidate[], { now, tokens, rate }: Supply): Candidate[] => {
  const future = candidates.filter(({ at }) => at >= now).sort((a, b) => a.at - b.at || b.value - a.value);
  const allowed = future.map(({ at }) => Math.floor(tokens + ((at - now) / 1e6) * rate + 1e-9));
  // With room for all there is nothing to choose.
  if (allowed.every((most, i) => i + 1 <= most)) return future;
  const order = future.map((_, i) => i).sort((a, b) => future[b]!.value - future[a]!.value || a - b);
  const taken = new Uint8Array(future.length);
  for (const i of order) {
    taken[i] = 1;
    let count = 0;
    for (let j = 0; j < future.length; j++) {
      count += taken[j]!;
      if (count > allowed[j]! && j >= i) {
        taken[i] = 0;
        break;
      }
    }
  }
  return future.filter((_, i) => taken[i] === 1);
};
