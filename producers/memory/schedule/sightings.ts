import type { Micros } from '../../../schemas/records.js';
import type { Sighting } from './windows.js';

/** A thread's look as far as planning needs it. */
export interface ThreadSight {
  readonly tid: number;
  readonly at: Micros;
  readonly outcome: string;
  readonly asBefore: boolean;
  /** Functions on its stack. */
  readonly functions: readonly string[];
}

type Kept = Map<number, { readonly at: Micros; readonly functions: ReadonlySet<string> }>;

/**
 * Tells calls that began since a thread's last sampled look: on the stack now, and not then. What was there both times may be
 * one call or two, and moves no plan.
 */
export class Sightings {
  #kept: Kept = new Map();
  readonly #newest = new Map<string, Sighting>();

  /** New calls, in the order of threads, outermost last. `since` bounds the start of a call in a thread seen for the first time. */
  take(threads: readonly ThreadSight[], since: Micros): Sighting[] {
    const kept: Kept = new Map();
    const began: Sighting[] = [];
    for (const thread of threads) {
      const before = this.#kept.get(thread.tid);
      if (thread.outcome !== 'sampled' || thread.asBefore) {
        if (before !== undefined)
          kept.set(thread.tid, thread.outcome === 'sampled' ? { ...before, at: thread.at } : before);
        continue;
      }
      const functions = new Set(thread.functions);
      for (const name of functions)
        if (before?.functions.has(name) !== true) {
          const sighting = { function: name, notBefore: before?.at ?? Math.min(since, thread.at), at: thread.at };
          this.#newest.set(name, sighting);
          began.push(sighting);
        }
      kept.set(thread.tid, { at: thread.at, functions });
    }
    this.#kept = kept;
    return began;
  }

  /** The newest call of a function that was seen to begin. */
  newest(name: string): Sighting | undefined {
    return this.#newest.get(name);
  }

  /** Another program runs now. */
  forget(): void {
    this.#kept.clear();
    this.#newest.clear();
  }
}
