import type { Micros, Prediction } from '../../../schemas/records.js';
import { chooseLooks } from './choose-looks.js';
import type { Random } from './secret-random.js';
import { Sightings, type ThreadSight } from './sightings.js';
import { type Candidate, candidatesIn, narrowed, type Sighting, type Window, windowsAfter } from './windows.js';

/** A look that is due at an instant, or (`none`) the instant at which to ask again. */
export interface PlannedLook {
  readonly at: Micros;
  /** '' for none. */
  readonly process: string;
  readonly why: 'predicted' | 'blind' | 'none';
}

/** Of all looks, those that no plan chooses: or a wrong model would confirm itself. */
const BLIND_SHARE = 0.1;
/** Plans are chosen this far ahead, then again. */
const HORIZON: Micros = 250_000;
/** Without plans there is nothing to choose anew. */
const IDLE_HORIZON: Micros = 5_000_000;
const MAX_PLANS = 16;

interface Plan {
  readonly prediction: Prediction;
  windows: readonly Window[];
  candidates: readonly Candidate[];
}

interface Subject {
  readonly name: string;
  readonly sightings: Sightings;
  readonly plans: Map<string, Plan>;
  since: Micros;
}

/**
 * Decides when to look next at the processes that share a budget. Pure but for its own state: time comes in with every call.
 * Plans are re-anchored on what is seen; whatever budget they leave goes to looks at secret instants, a tenth at least.
 */
export class Scheduler {
  readonly #random: Random;
  readonly #subjects = new Map<string, Subject>();
  #rate: number;
  #chosen: readonly Candidate[] = [];
  #planned = 0;
  #horizonEnd = Number.NEGATIVE_INFINITY;
  #tokens = 0;
  #tokensAt: Micros;
  #slot: { end: Micros; at: Micros };
  #blindRate: number;
  #turn = 0;

  /** `rate` in looks per second. */
  constructor(rate: number, now: Micros, random: Random) {
    this.#rate = rate;
    this.#blindRate = rate;
    this.#random = random;
    this.#tokensAt = now;
    this.#slot = { end: now, at: now };
    this.#openSlot();
  }

  get rate(): number {
    return this.#rate;
  }

  setRate(rate: number, now: Micros): void {
    if (rate === this.#rate) return;
    this.#accrue(now);
    this.#rate = rate;
    this.#blindRate = Math.min(this.#blindRate, rate);
    this.#replan(now);
  }

  add(process: string, now: Micros): void {
    this.#subjects.set(process, { name: process, sightings: new Sightings(), plans: new Map(), since: now });
  }

  remove(process: string, now: Micros): void {
    if (this.#subjects.delete(process)) this.#replan(now);
  }

  get size(): number {
    return this.#subjects.size;
  }

  /** Takes a prediction of any age: what of it lies ahead is used. Times are of the same clock as `now`. */
  predict(prediction: Prediction, now: Micros): void {
    const subject = this.#subjects.get(prediction.process);
    if (subject === undefined || prediction.validUntil <= now) return;
    const key = `${prediction.policy} ${prediction.slice}`;
    const known = subject.plans.get(key);
    if (known !== undefined && known.prediction.at > prediction.at) return;
    subject.plans.delete(key);
    if (subject.plans.size >= MAX_PLANS) subject.plans.delete(subject.plans.keys().next().value!);
    const plan: Plan = { prediction, windows: [], candidates: [] };
    subject.plans.set(key, plan);
    this.#anchor(subject, plan, newestAnchor(subject, prediction));
    this.#replan(now);
  }

  /** Takes what a look saw. `replaced`: another program runs now. */
  observe(process: string, threads: readonly ThreadSight[], replaced: boolean, now: Micros): void {
    const subject = this.#subjects.get(process);
    if (subject === undefined) return;
    if (replaced) {
      subject.sightings.forget();
      subject.plans.clear();
    }
    const began = subject.sightings.take(threads, subject.since);
    let moved = replaced;
    for (const plan of subject.plans.values())
      for (const sighting of began)
        if (plan.prediction.rows.some((row) => row.seen === sighting.function)) {
          this.#anchor(subject, plan, sighting);
          moved = true;
        }
    subject.since = now;
    if (moved) this.#replan(now);
  }

  /** What comes next; null without a process or a rate. */
  next(now: Micros): PlannedLook | null {
    if (this.#subjects.size === 0 || !(this.#rate > 0)) return null;
    if (now >= this.#horizonEnd) this.#replan(now);
    // Slots that went by unused are gaps as they are: they are not made up for.
    while (this.#slot.end <= now && this.#slot.at < now) this.#openSlot(now);
    const candidate = this.#chosen[this.#planned];
    const earliest = Math.min(candidate?.at ?? Number.POSITIVE_INFINITY, this.#slot.at);
    if (earliest > this.#horizonEnd) return { at: this.#horizonEnd, process: '', why: 'none' };
    if (candidate !== undefined && candidate.at <= this.#slot.at)
      return { at: candidate.at, process: candidate.process, why: 'predicted' };
    return { at: this.#slot.at, process: this.#blindProcess(), why: 'blind' };
  }

  /** The look that `next` gave was made, or let go. */
  done(look: PlannedLook, now: Micros): void {
    if (look.why === 'none') return;
    this.#accrue(now);
    this.#tokens -= 1;
    if (look.why === 'predicted') {
      this.#planned++;
      // A plan that the clock overtook is let go.
      while ((this.#chosen[this.#planned]?.at ?? Number.POSITIVE_INFINITY) <= look.at) this.#planned++;
    } else {
      this.#turn++;
      this.#openSlot(now);
    }
  }

  #blindProcess(): string {
    const names = [...this.#subjects.keys()];
    return names[this.#turn % names.length]!;
  }

  #openSlot(now = Number.NEGATIVE_INFINITY): void {
    const length = 1e6 / this.#blindRate;
    const from = Math.max(this.#slot.end, now - length);
    this.#slot = { end: from + length, at: Math.round(from + this.#random() * length) };
  }

  #anchor(subject: Subject, plan: Plan, anchor: Sighting | null): void {
    const { rows, validUntil } = plan.prediction;
    plan.windows = anchor === null ? [] : windowsAfter(rows, narrowed(anchor, plan.windows), validUntil);
    plan.candidates = plan.windows.flatMap((window) => candidatesIn(window, subject.name, this.#random));
  }

  #accrue(now: Micros): void {
    // Saved up for a second at most.
    this.#tokens = Math.min(this.#rate, this.#tokens + (Math.max(0, now - this.#tokensAt) / 1e6) * this.#rate);
    this.#tokensAt = Math.max(this.#tokensAt, now);
  }

  #replan(now: Micros): void {
    this.#accrue(now);
    const end = now + HORIZON;
    const candidates: Candidate[] = [];
    for (const subject of this.#subjects.values())
      for (const [key, plan] of subject.plans) {
        if (plan.prediction.validUntil <= now) subject.plans.delete(key);
        else
          for (const candidate of plan.candidates)
            if (candidate.at >= now && candidate.at < end) candidates.push(candidate);
      }
    const planning = [...this.#subjects.values()].some(({ plans }) => plans.size > 0);
    this.#horizonEnd = planning ? end : now + IDLE_HORIZON;
    const blindLeast = this.#rate * BLIND_SHARE;
    this.#chosen = chooseLooks(candidates, { now, tokens: this.#tokens, rate: this.#rate - blindLeast });
    this.#planned = 0;
    // Plans know a few steps only: what they leave now is saved for the next ones, and spent on blind looks when half of it is full.
    const spare = candidates.length === 0 || this.#tokens > this.#rate / 2;
    const left = this.#rate + Math.min(0, this.#tokens) - this.#chosen.length;
    const blind = spare ? Math.min(this.#rate, Math.max(blindLeast, left / (HORIZON / 1e6))) : blindLeast;
    // A slot that grew or shrank begins anew; one of about the same length goes on, or replanning could put its look off for ever.
    const changed = Math.abs(blind - this.#blindRate) > this.#blindRate / 4;
    this.#blindRate = blind;
    if (changed && this.#slot.at > now + 1e6 / blind) {
      this.#slot = { end: now, at: now };
      this.#openSlot();
    }
  }
}

/** Own sightings of functions that rows begin with beat an older anchor of the prediction's. */
const newestAnchor = (subject: Subject, { anchor, rows }: Prediction): Sighting | null => {
  let newest: Sighting | null = anchor;
  for (const { seen } of rows) {
    const own = subject.sightings.newest(seen);
    if (own !== undefined && own.at > (newest?.at ?? Number.NEGATIVE_INFINITY)) newest = own;
  }
  return newest;
};
