import { isAttestreamError } from '../../../schemas/errors.js';
import { globMatches } from '../../../schemas/policy/glob.js';
import type { Micros, Prediction } from '../../../schemas/records.js';
import { boottimeMicros } from '../../identity/boottime.js';
import { lookRecord } from '../record/look-record.js';
import { Release } from '../record/release.js';
import { type Budget, RateController } from '../schedule/rate-controller.js';
import { type PlannedLook, Scheduler } from '../schedule/scheduler.js';
import { type Random, secretRandom } from '../schedule/secret-random.js';
import type { ThreadSight } from '../schedule/sightings.js';
import { openTarget, type Target } from './look.js';
import type { LookResult } from './look-result.js';
import { Quantiles } from './quantiles.js';
import type { Lateness, SamplerRequest, SamplerSettings, SamplerTold } from './sampler-messages.js';

/** µs between looks at a process that is about to become another program. */
const BECOMING: Micros = 1000;
/** Looks told that nobody has taken yet; beyond, looks are left out and counted. */
const MAX_OUTSTANDING = 1024;
/** Bounds of CPU time per µs of look, which is wall time: less where others hold the CPU, more for all that is around a look. */
const LEAST_OVERHEAD = 0.1;
const MOST_OVERHEAD = 200;

interface Group {
  readonly name: string;
  readonly budget: Budget;
  readonly scheduler: Scheduler;
  readonly controller: RateController;
}

interface Subject {
  readonly id: number;
  readonly name: string;
  readonly group: Group;
  readonly target: Target;
  readonly request: SamplerRequest & { readonly is: 'add' };
  /** Of the program that runs now. */
  release: Release;
  /** null: recorded. */
  becomesUntil: Micros | null;
  /** CLOCK_BOOTTIME at which the last look began. */
  last: Micros;
  refused: boolean;
  skipped: { readonly from: Micros; count: number } | null;
}

export interface DueLook {
  /** CLOCK_BOOTTIME, µs. */
  readonly at: Micros;
  readonly exact: boolean;
  run(): void;
}

/**
 * Looks at processes when their schedules say. Owns all that is open of them; knows nothing of threads of JavaScript: who
 * drives it waits until `next().at` and calls `run`.
 */
export class Sampler {
  readonly #settings: SamplerSettings;
  readonly #tell: (told: SamplerTold) => void;
  readonly #random: Random;
  readonly #groups = new Map<string, Group>();
  readonly #subjects = new Map<number, Subject>();
  readonly #byName = new Map<string, Subject>();
  readonly #late = { blind: new Quantiles(), predicted: new Quantiles() };
  /** CPU time of the whole process at the last adjustment, and how much of it one µs of look stands for. */
  #spent = { cpu: process.cpuUsage(), overhead: 2, at: boottimeMicros() };

  constructor(settings: SamplerSettings, tell: (told: SamplerTold) => void) {
    this.#settings = settings;
    this.#tell = tell;
    this.#random = secretRandom(settings.seed === undefined ? undefined : Buffer.from(settings.seed));
  }

  handle(request: SamplerRequest): void {
    switch (request.is) {
      case 'group': {
        const scheduler = new Scheduler(request.budget.looks, boottimeMicros(), this.#random);
        const controller = new RateController(request.budget);
        this.#groups.set(request.group, { name: request.group, budget: request.budget, scheduler, controller });
        return;
      }
      case 'ungroup':
        this.#groups.delete(request.group);
        return;
      case 'add':
        this.#add(request);
        return;
      case 'remove': {
        const subject = this.#subjects.get(request.id);
        if (subject !== undefined) this.#drop(subject);
        return;
      }
      case 'predict':
        this.#predict(request.prediction);
        return;
      case 'end':
        for (const subject of [...this.#subjects.values()]) this.#drop(subject);
        this.#tell({ is: 'ended', lateness: this.#lateness() });
    }
  }

  #add(request: SamplerRequest & { readonly is: 'add' }): void {
    const { id, pid, startTime } = request;
    const group = this.#groups.get(request.group)!;
    try {
      const { functions, globals } = request.release;
      const target = openTarget(pid, new Set(functions.keys()), { globals: [...globals.keys()] });
      if (startTime !== null && target.startTime !== startTime) {
        target.close();
        this.#tell({ is: 'failed', id, code: 'PROCESS_GONE', message: `there is no process ${pid}:${startTime}` });
        return;
      }
      const now = boottimeMicros();
      const name = `${pid}:${target.startTime}`;
      const { becomesUntil } = request;
      const subject: Subject = {
        id,
        name,
        group,
        target,
        request,
        release: this.#releaseFor(request, target.binary),
        becomesUntil,
        last: now,
        refused: false,
        skipped: null,
      };
      this.#subjects.set(id, subject);
      this.#byName.set(name, subject);
      if (becomesUntil === null) group.scheduler.add(name, now);
      const at = now + this.#settings.offset;
      this.#tell({ is: 'opened', id, startTime: target.startTime, binary: target.binary, at });
    } catch (error) {
      if (!isAttestreamError(error)) throw error;
      this.#tell({ is: 'failed', id, code: error.code, message: error.message });
    }
  }

  /** A policy speaks of the programs that it names: of any other, nothing leaves. */
  #releaseFor({ binary: glob, release }: Subject['request'], binary: string): Release {
    const named = glob === 'any' || globMatches(glob, binary);
    return new Release(named ? release : null, Buffer.from(this.#settings.hashKey));
  }

  #drop(subject: Subject): void {
    this.#settle(subject, boottimeMicros());
    this.#subjects.delete(subject.id);
    if (this.#byName.get(subject.name) === subject) this.#byName.delete(subject.name);
    subject.group.scheduler.remove(subject.name, boottimeMicros());
    subject.target.close();
  }

  /** Predictions speak event time; schedules, like all that runs here, the clock that nothing steps. */
  #predict(prediction: Prediction): void {
    const { offset } = this.#settings;
    const subject = this.#byName.get(prediction.process);
    if (subject === undefined) return;
    const { anchor } = prediction;
    const shifted: Prediction = {
      ...prediction,
      at: prediction.at - offset,
      validUntil: prediction.validUntil - offset,
      anchor: anchor && { ...anchor, notBefore: anchor.notBefore - offset, at: anchor.at - offset },
    };
    subject.group.scheduler.predict(shifted, boottimeMicros());
  }

  /** The look that is due next; null if there is nothing to look at. */
  next(): DueLook | null {
    const now = boottimeMicros();
    let due: { look: PlannedLook; group: Group } | null = null;
    for (const group of this.#groups.values()) {
      const look = group.scheduler.next(now);
      if (look !== null && (due === null || look.at < due.look.at)) due = { look, group };
    }
    for (const subject of this.#subjects.values()) {
      const at = subject.last + BECOMING;
      if (subject.becomesUntil !== null && (due === null || at < due.look.at))
        return { at, exact: false, run: () => this.#awaitProgram(subject) };
    }
    if (due === null) return null;
    const { look, group } = due;
    return { at: look.at, exact: look.why === 'predicted', run: () => this.#run(look, group) };
  }

  #awaitProgram(subject: Subject): void {
    const { group, id, becomesUntil, name } = subject;
    const look = subject.target.look();
    subject.last = look.from;
    if (look.replaced && !look.gone) {
      subject.becomesUntil = null;
      group.scheduler.add(name, look.at);
      this.#exec(subject, look, look.from);
      this.#tellLook(subject, look, null);
      this.#observe(subject, look);
    } else if (look.gone || look.at > becomesUntil!) {
      this.#tell({ is: 'failed', id, code: 'PROCESS_START_FAILED', message: '' });
      this.#drop(subject);
    }
  }

  #run(planned: PlannedLook, group: Group): void {
    const started = boottimeMicros();
    group.scheduler.done(planned, started);
    if (planned.why !== 'none') {
      const subject = this.#byName.get(planned.process);
      if (subject !== undefined) this.#lookAt(subject, planned, started);
    }
    this.#adjust(boottimeMicros());
  }

  #lookAt(subject: Subject, planned: PlannedLook, started: Micros): void {
    if (Atomics.load(this.#settings.bell, 1) > MAX_OUTSTANDING) {
      subject.skipped ??= { from: started, count: 0 };
      subject.skipped.count++;
      return;
    }
    this.#settle(subject, started);
    if (planned.why !== 'none') this.#late[planned.why].add(started - planned.at);
    const look = this.#clearLook(subject);
    subject.group.controller.spent(look.micros);
    if (look.gone) {
      this.#event(subject, 'gone', look.at);
      this.#drop(subject);
      return;
    }
    if (look.replaced) this.#exec(subject, look, subject.last);
    this.#tellLook(subject, look, planned);
    if (look.refused !== '' && !subject.refused) this.#gap(subject, look.refused, look.from, look.at, 0);
    subject.refused = look.refused !== '';
    subject.last = look.from;
    this.#observe(subject, look);
  }

  /** A look; where it is not clear and the policy allows it, one at the process held still. */
  #clearLook({ target, request }: Subject): LookResult {
    const look = target.look();
    const unclear = look.threads.some(({ outcome }) => outcome === 'running' || outcome === 'torn');
    if (!request.mayStop || !unclear || look.gone || look.replaced || look.refused !== '') return look;
    try {
      return target.lookStopped();
    } catch (error) {
      if (isAttestreamError(error)) return look;
      throw error;
    }
  }

  #observe({ group, name }: Subject, look: LookResult): void {
    const threads: ThreadSight[] = look.threads.map(({ tid, at, outcome, asBefore, frames }) => ({
      tid,
      at,
      outcome,
      asBefore,
      functions: asBefore ? [] : frames.flatMap((frame) => (frame.function === null ? [] : [frame.function])),
    }));
    group.scheduler.observe(name, threads, look.replaced, look.at);
  }

  #tellLook(subject: Subject, look: LookResult, planned: PlannedLook | null): void {
    const { offset } = this.#settings;
    const record = lookRecord(look, offset, subject.release);
    Atomics.add(this.#settings.bell, 1, 1);
    this.#tell({
      is: 'look',
      id: subject.id,
      look: planned === null ? record : { ...record, planned: planned.why, due: Math.round(planned.at) + offset },
    });
  }

  #exec(subject: Subject, look: LookResult, since: Micros): void {
    const { offset } = this.#settings;
    const { id, target } = subject;
    subject.release = this.#releaseFor(subject.request, target.binary);
    const times = { notBefore: since + offset, at: Math.max(since, look.from) + offset };
    this.#tell({ is: 'event', id, kind: 'exec', ...times, binary: target.binary });
  }

  #event(subject: Subject, kind: 'gone', at: Micros): void {
    const { offset } = this.#settings;
    const { id, last, target } = subject;
    this.#tell({ is: 'event', id, kind, notBefore: last + offset, at: at + offset, binary: target.binary });
  }

  #gap({ id }: Subject, reason: string, notBefore: Micros, at: Micros, lost: number): void {
    const { offset } = this.#settings;
    this.#tell({ is: 'gap', id, reason, notBefore: notBefore + offset, at: at + offset, lost });
  }

  /** Tells of looks that were left out. */
  #settle(subject: Subject, now: Micros): void {
    const { skipped } = subject;
    if (skipped === null) return;
    subject.skipped = null;
    this.#gap(subject, 'LOG_BEHIND', skipped.from, now, skipped.count);
  }

  #adjust(now: Micros): void {
    if (now - this.#spent.at > 1e6) {
      const cpu = process.cpuUsage(this.#spent.cpu);
      let granted = 0;
      for (const { budget } of this.#groups.values()) granted += budget.cpu;
      // All that this process does counts, not only the looks: what one look stands for is corrected until the sum is right.
      const share = (cpu.user + cpu.system) / (now - this.#spent.at) / granted;
      const correction = granted > 0 && granted < Number.POSITIVE_INFINITY ? Math.min(1.5, Math.max(0.67, share)) : 1;
      const overhead = Math.min(MOST_OVERHEAD, Math.max(LEAST_OVERHEAD, this.#spent.overhead * correction ** 0.7));
      this.#spent = { cpu: process.cpuUsage(), overhead, at: now };
    }
    for (const { controller, scheduler } of this.#groups.values()) {
      const rate = controller.adjust(now, this.#spent.overhead);
      if (rate !== null) scheduler.setRate(rate, now);
    }
  }

  #lateness(): Lateness {
    const { blind, predicted } = this.#late;
    const exact = { median: predicted.at(0.5), p99: predicted.at(0.99) };
    return { median: blind.at(0.5), p99: blind.at(0.99), predicted: exact };
  }
}
