import type { Frame, Look, Micros, ThreadLook } from '../../../schemas/records.js';

/** What is kept of a thread's look: enough to tell whether it ran since, and what was on its stack. */
export interface ThreadSeen {
  readonly tid: number;
  readonly at: Micros;
  readonly runTime: number;
  readonly slices: number;
  readonly complete: boolean;
  readonly frames: readonly Frame[];
}

/** A look at which every thread's stack was read to its root: between two of these, what was not seen can be told. */
export interface Anchor {
  /** Earliest instant of the look. */
  readonly from: Micros;
  readonly to: Micros;
  /**
   * Threads are looked at one after the other: one looked at before this instant may have gone on before another's look, whose
   * calls are known already. 0: none did.
   */
  readonly busy: Micros;
  readonly threads: readonly ThreadSeen[];
}

/** Nothing was on any stack: the instant at which a process began. */
export const beginning = (at: Micros): Anchor => ({ from: at, to: at, busy: 0, threads: [] });

const seen = (thread: ThreadLook, frames: readonly Frame[], complete: boolean): ThreadSeen => ({
  tid: thread.tid,
  at: thread.at,
  runTime: thread.runTime,
  slices: thread.slices,
  complete,
  frames,
});

/**
 * Newest sampled look per thread of one process. A look that says "as before" is believed only if the counters equal those
 * of the look that is kept here, so that a lost record cannot lend its stack to another moment.
 */
export class Threads {
  kept: ReadonlyMap<number, ThreadSeen> = new Map();

  /** Takes a look; gives it as an anchor if it is one. */
  take(look: Look): Anchor | null {
    const next = new Map<number, ThreadSeen>();
    let whole = look.threads.length > 0;
    // The list of threads is read first: one that was born just after it may have run before any was looked at.
    let from = Math.min(look.at, look.notBefore);
    for (const thread of look.threads) {
      const before = this.kept.get(thread.tid);
      if (thread.at < from) from = thread.at;
      if (thread.outcome !== 'sampled') {
        whole = false;
        if (before !== undefined) next.set(thread.tid, before);
        continue;
      }
      if (!thread.asBefore) next.set(thread.tid, seen(thread, thread.frames, thread.complete));
      else if (before !== undefined && before.runTime === thread.runTime && before.slices === thread.slices)
        next.set(thread.tid, seen(thread, before.frames, before.complete));
      if (next.get(thread.tid)?.complete !== true) whole = false;
    }
    this.kept = next;
    return whole ? { from, to: look.at, busy: look.at, threads: look.threads.map(({ tid }) => next.get(tid)!) } : null;
  }

  forget(): void {
    this.kept = new Map();
  }
}

/** True if no thread ran between the two looks: nothing happened but time. Needs counters that count. */
export const isQuiet = (before: Anchor, after: Anchor): boolean =>
  before.threads.length === after.threads.length &&
  before.threads.length > 0 &&
  after.threads.every((thread) => {
    const old = before.threads.find(({ tid }) => tid === thread.tid);
    return (
      old !== undefined &&
      thread.slices > 0 &&
      old.slices === thread.slices &&
      old.runTime === thread.runTime &&
      thread.runTime > 0
    );
  });

/** The anchor, knowing which of its threads ran since the one before: calls of the others are in order already. */
export const sinceAnchor = (before: Anchor, after: Anchor): Anchor => {
  let busy = 0;
  for (const thread of after.threads) {
    const old = before.threads.find(({ tid }) => tid === thread.tid);
    const idle =
      old !== undefined &&
      thread.slices > 0 &&
      thread.runTime > 0 &&
      old.slices === thread.slices &&
      old.runTime === thread.runTime;
    if (!idle) busy = Math.max(busy, thread.at);
  }
  return { ...after, busy };
};

/** CPU time in µs that the process used between the two looks; Infinity if it cannot be told. */
export const cpuUsed = (before: Anchor, after: Anchor): Micros => {
  let used = 0;
  for (const thread of after.threads) {
    if (thread.slices < 0 || thread.runTime === 0) return Number.POSITIVE_INFINITY;
    const more = thread.runTime - (before.threads.find(({ tid }) => tid === thread.tid)?.runTime ?? 0);
    // Its number was given to another thread.
    if (more < 0) return Number.POSITIVE_INFINITY;
    used += more;
  }
  // A thread that ended in between took its time with it.
  return before.threads.every(({ tid }) => after.threads.some((thread) => thread.tid === tid))
    ? used / 1000
    : Number.POSITIVE_INFINITY;
};
