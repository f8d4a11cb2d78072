import type { Value } from '../../schemas/policy/value.js';
import type { Micros } from '../../schemas/records.js';
import type { World } from '../engine/fold.js';
import type { Call, Source } from './call.js';
import { History, type Said } from './history.js';
import type { PolicyInForce } from './policies.js';
import { Track } from './track.js';
import { makeVerdict, type Subject, withdrawal } from './verdict.js';

/** Counts the verdicts of one record, over all instances and timers that it moves. */
export interface Ordinals {
  next(): number;
}

/** One machine instance as the fold keeps it: its track, what was said of it, and the calls that may have to be run again. */
export class Instance {
  readonly track: Track;
  readonly history: History | null;
  /** Deadline for which the host is to be woken; Infinity if for none. */
  wakeAt: Micros = Number.POSITIVE_INFINITY;

  constructor(
    readonly policy: PolicyInForce,
    readonly subject: Subject,
    readonly key: Value,
    /** Number by which its timer is known to the engine. */
    readonly id: number,
    /** Complete observations are woken at deadlines and can be put in order; sampled ones are judged look by look. */
    readonly complete: boolean,
  ) {
    this.track = new Track(policy.rules(key, complete));
    this.history = complete ? new History(policy.policy.lateness.events, this.track.clone()) : null;
  }

  /** A call in the order of time. */
  call(call: Call, world: World, ordinals: Ordinals): void {
    this.track.call(call);
    this.#say(world, ordinals);
    this.history?.note(call, this.track);
    this.#wake(world);
  }

  perhaps(call: Call, world: World, ordinals: Ordinals): void {
    this.track.perhaps(call);
    this.#say(world, ordinals);
    this.history?.restart(this.track, call.at);
    this.#wake(world);
  }

  /** A call that came after later ones. False if it is too late to be put in its place. */
  late(call: Call, world: World, ordinals: Ordinals, begin: (track: Track, at: Micros) => void): boolean {
    const { history, track } = this;
    if (history === null || call.at < history.floor) return false;
    const { drafts, withdrawn } = history.insert(call, track, world.now, begin);
    for (const { draft, supersedes } of drafts) {
      const verdict = makeVerdict(this.subject, draft, world, ordinals.next(), supersedes?.verdict ?? null);
      world.emit(verdict, supersedes?.verdict);
      history.said.push({ verdict, draft });
    }
    for (const said of withdrawn)
      world.emit(withdrawal(this.subject, said.verdict, world, ordinals.next()), said.verdict);
    this.#wake(world);
    return true;
  }

  /** Time passed up to a deadline. */
  elapse(to: Micros, source: Source, world: World, ordinals: Ordinals): void {
    this.wakeAt = Number.POSITIVE_INFINITY;
    this.track.elapse(to, source);
    this.#say(world, ordinals);
    this.#wake(world);
  }

  /** Anything may have happened up to now. */
  lose(at: Micros, latest = at): void {
    this.track.beginUnknown(at, latest);
    this.history?.restart(this.track, latest);
  }

  /** Says what the track concluded. */
  settle(world: World, ordinals: Ordinals): void {
    this.#say(world, ordinals);
    this.#wake(world);
  }

  #say(world: World, ordinals: Ordinals): void {
    const { drafts } = this.track;
    if (drafts.length === 0) return;
    this.track.drafts = [];
    for (const draft of drafts) {
      const verdict = makeVerdict(this.subject, draft, world, ordinals.next(), null);
      world.emit(verdict);
      this.history?.said.push({ verdict, draft } satisfies Said);
    }
  }

  /** An earlier wake than needed does no harm and spares a timer per event. */
  #wake(world: World): void {
    if (!this.complete) return;
    const { deadline } = this.track;
    if (deadline >= this.wakeAt || deadline === Number.POSITIVE_INFINITY) return;
    this.wakeAt = deadline;
    world.wake(deadline, this.id);
  }
}
