import type { Known } from '../../schemas/policy/value.js';
import type { Micros, Verdict } from '../../schemas/records.js';
import type { Call, Source } from './call.js';
import type { Draft, Track } from './track.js';

/** A verdict that stands, and the draft it was made of. */
export interface Said {
  readonly verdict: Verdict;
  readonly draft: Draft;
}

/** A call that is the history's own, and may be overwritten once it is dropped. */
export interface Kept extends Call {
  events: readonly number[];
  function: string;
  thread: number;
  callers: readonly string[];
  readonly args: (Known | undefined)[];
  notBefore: Micros;
  at: Micros;
  readonly source: { stream: string; seq: number; offset: number };
}

const NONE: readonly never[] = [];

/** How a late call changed what had been said: pairs in order; `withdrawn` ones have nothing in their place. */
export interface Revision {
  readonly drafts: readonly { readonly draft: Draft; readonly supersedes: Said | null }[];
  readonly withdrawn: readonly Said[];
}

const sameConclusion = (a: Draft, b: Draft): boolean =>
  a.state === b.state && a.at === b.at && JSON.stringify(a.bindings) === JSON.stringify(b.bindings);

/**
 * The recent calls of one track, so that one that comes late can still be put where it belongs: belief goes back to before it
 * and runs again. Keeps at least `size` calls, at most twice as many, and never costs more than one copy of the track per `size`.
 */
export class History {
  entries: Kept[] = [];
  /** Entries that were dropped, to be used again: a history that lasts makes no new ones. */
  #spare: Kept[] = [];
  /** The track before the first entry. */
  base: Track;
  /** Nothing before this can be put in place any more. */
  floor: Micros = Number.NEGATIVE_INFINITY;
  said: Said[] = [];
  middle: { readonly track: Track; readonly entries: number; readonly said: number } | null = null;

  constructor(
    readonly size: number,
    base: Track,
  ) {
    this.base = base;
  }

  get latest(): Micros {
    const last = this.entries[this.entries.length - 1];
    return last === undefined ? this.floor : last.at;
  }

  /** Notes a call that came in order, after `track` took it. */
  note(call: Call, track: Track): void {
    this.entries.push(this.#kept(call));
    const since = this.entries.length - (this.middle?.entries ?? 0);
    if (since < this.size) return;
    if (this.middle !== null) {
      this.base = this.middle.track;
      this.floor = this.entries[this.middle.entries - 1]!.at;
      this.#spare = this.entries.splice(0, this.middle.entries);
      this.said = this.said.slice(this.middle.said);
    }
    this.middle = { track: track.clone(), entries: this.entries.length, said: this.said.length };
  }

  /** A copy of the call, in the place of one that was dropped where there is such. */
  #kept(call: Call): Kept {
    const kept: Kept = this.#spare.pop() ?? {
      events: NONE,
      function: '',
      thread: 0,
      callers: NONE,
      args: [],
      // Neither is a small integer, as no time is: stored in place from the start.
      notBefore: Number.NEGATIVE_INFINITY,
      at: Number.NEGATIVE_INFINITY,
      source: { stream: '', seq: 0, offset: 0 },
    };
    const { args, source } = call;
    kept.events = call.events;
    kept.function = call.function;
    kept.thread = call.thread;
    kept.callers = call.callers;
    for (let i = 0; i < args.length; i++) kept.args[i] = args[i];
    if (kept.args.length !== args.length) kept.args.length = args.length;
    kept.notBefore = call.notBefore;
    kept.at = call.at;
    kept.source.stream = source.stream;
    kept.source.seq = source.seq;
    kept.source.offset = source.offset;
    return kept;
  }

  /** Forgets everything: the track starts anew from here. */
  restart(track: Track, at: Micros): void {
    this.base = track.clone();
    this.entries = [];
    this.said = [];
    this.middle = null;
    this.floor = at;
  }

  /** Puts a late call in its place, lets the track run again up to `now`, and tells what has to be said differently. */
  insert(call: Call, track: Track, now: Micros, begin: (track: Track, at: Micros) => void): Revision {
    let place = this.entries.length;
    while (place > 0 && this.entries[place - 1]!.at > call.at) place--;
    this.entries.splice(place, 0, this.#kept(call));
    const middle = this.middle !== null && place >= this.middle.entries ? this.middle : null;
    const again = (middle?.track ?? this.base).clone();
    const from = middle?.entries ?? 0;
    for (const entry of this.entries.slice(from)) {
      if (!again.started) begin(again, entry.at);
      again.call(entry);
    }
    again.elapse(now, call.source as Source);
    const drafts = again.drafts;
    const old = this.said.slice(middle?.said ?? 0);
    track.become(again);
    if (middle === null) this.middle = null;
    let same = 0;
    while (same < old.length && same < drafts.length && sameConclusion(old[same]!.draft, drafts[same]!)) same++;
    this.said.length = (middle?.said ?? 0) + same;
    const changed = drafts.slice(same);
    return {
      drafts: changed.map((draft, i) => ({ draft, supersedes: old[same + i] ?? null })),
      withdrawn: old.slice(same + changed.length),
    };
  }
}
