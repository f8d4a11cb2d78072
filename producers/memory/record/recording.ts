import { AttestreamError, type ErrorCode } from '../../../schemas/errors.js';
import type { Look, Micros, Prediction, ProcessEvent, RecordName, Records } from '../../../schemas/records.js';
import { boottimeMicros } from '../../identity/boottime.js';
import { binaryPathIfAny } from '../locate/binary-path.js';
import type { Lateness, SamplerTold } from '../sample/sampler-messages.js';
import type { SamplerThread } from '../sample/start-sampler.js';
import type { Budget } from '../schedule/rate-controller.js';
import type { LookRules } from './look-rules.js';
import { isAlive, type ProcessWatch, type WatchedProcess } from './process-watch.js';
import { releaseRules } from './release.js';

/** Where records go: they are numbered there. */
export interface RecordSink {
  put<N extends RecordName>(name: N, fields: Omit<Records[N], 'stream' | 'seq'>): void;
  /** Waits while the log is far behind. */
  breathe(): Promise<void>;
}

export interface RecordingOptions {
  readonly sampler: SamplerThread;
  readonly sink: RecordSink;
  readonly watch: ProcessWatch;
  /** µs from CLOCK_BOOTTIME to event time. */
  readonly offset: Micros;
  /** The rules in force for a process of a container that runs this binary; null: names of functions only. */
  readonly rulesFor: (container: string, binary: string) => LookRules | null;
  /** Image of a container; '' if not known. */
  readonly imageOf: (container: string) => string;
  /** For each container, or for all processes outside of one. */
  readonly budget: Budget;
  /** The recording is of one process or container: it fails if the first process cannot be looked at. */
  readonly ofOne?: boolean;
  readonly onLook?: (look: Omit<Look, 'stream' | 'seq'>) => void;
}

interface Subject {
  readonly process: WatchedProcess;
  readonly name: string;
  readonly parent: Subject | null;
  /** Since when it can have been there, event time. */
  readonly since: Micros;
  /** When it was last known to be there. */
  alive: Micros;
  readonly becomes: boolean;
  readonly image: string;
  /** µs of CLOCK_BOOTTIME to wait for the program that it is to become. */
  readonly becomesUntil: Micros | null;
  binary: string;
  opened: boolean;
  rules: LookRules | null;
}

/** Processes followed at once; more are told of as a gap. */
const MAX_PROCESSES = 1024;
const MAX_PREDICTIONS = 1024;

/** Turns processes that come, run and go into events: asks the sampling thread to look at each, and writes what it tells. */
export class Recording {
  readonly #options: RecordingOptions;
  readonly #subjects = new Map<number, Subject>();
  readonly #byPid = new Map<number, Subject>();
  /** By numbers that the sampling thread knew them by before their rules changed, until it has answered to the new one. */
  readonly #former = new Map<number, Subject>();
  readonly #groups = new Set<string>();
  /** The newest per process, for those that are not open yet. */
  readonly #predictions = new Map<string, Prediction>();
  #nextId = 0;
  #scanned: Micros;
  #first = true;
  /** Looks made; of threads, what became of them. */
  readonly counts = { looks: 0, predicted: 0, stopped: 0, sampled: 0, running: 0, torn: 0, gaps: 0, processes: 0 };
  lateness: Lateness | null = null;

  constructor(options: RecordingOptions) {
    this.#options = options;
    this.#scanned = boottimeMicros() + options.offset;
  }

  /** Names of the processes that are followed now. */
  get following(): readonly string[] {
    return [...this.#subjects.values()].map(({ name }) => name);
  }

  /** Takes processes in that have begun. `becomesUntil`: the first is about to become the program that is meant. */
  scan(becomesUntil: Micros | null = null): void {
    const { watch, sampler, offset, rulesFor, imageOf, budget } = this.#options;
    const since = this.#scanned;
    const began = watch.scan();
    this.#scanned = boottimeMicros() + offset;
    for (const process of began) {
      const { pid, startTime, container } = process;
      if (this.#subjects.size >= MAX_PROCESSES) {
        this.#gap('TOO_MANY_PROCESSES', '', since, this.#scanned, 1);
        continue;
      }
      if (!this.#groups.has(container)) {
        this.#groups.add(container);
        sampler.ask({ is: 'group', group: container, budget });
      }
      const becomes = becomesUntil !== null && this.#first;
      const subject: Subject = {
        process,
        name: `${pid}:${startTime}`,
        parent: this.#first ? null : (this.#byPid.get(process.parent) ?? null),
        since,
        alive: since,
        becomes,
        becomesUntil: becomes ? becomesUntil : null,
        image: imageOf(container),
        binary: '',
        opened: false,
        rules: rulesFor(container, binaryPathIfAny(pid)),
      };
      this.#byPid.set(pid, subject);
      this.counts.processes++;
      this.#ask(subject);
    }
    if (began.length > 0) this.#first = false;
  }

  #ask(subject: Subject): void {
    const { process, rules, becomesUntil } = subject;
    const id = this.#nextId++;
    this.#subjects.set(id, subject);
    this.#options.sampler.ask({
      is: 'add',
      id,
      group: process.container,
      pid: process.pid,
      startTime: process.startTime,
      binary: rules?.binary ?? 'any',
      release: releaseRules(rules),
      mayStop: rules?.stop === 'allowed',
      becomesUntil,
    });
  }

  /**
   * Other rules are in force: running processes for which `reaches` holds are looked at by them from here on. To their streams
   * this is nothing but a moment without looks.
   */
  reconsider(reaches: (container: string, rules: LookRules | null) => boolean): void {
    for (const [id, subject] of [...this.#subjects])
      if (reaches(subject.process.container, subject.rules)) this.#reconsider(id, subject);
  }

  #reconsider(id: number, subject: Subject): void {
    const { pid, container } = subject.process;
    const rules = this.#options.rulesFor(container, subject.binary === '' ? binaryPathIfAny(pid) : subject.binary);
    if (rules?.name === subject.rules?.name) return;
    subject.rules = rules;
    this.#subjects.delete(id);
    this.#former.set(id, subject);
    this.#options.sampler.ask({ is: 'remove', id });
    this.#ask(subject);
  }

  /** Looks no more at the processes of a container, which may go on: of those that have ended that is told instead. */
  leave(container: string): void {
    const now = boottimeMicros() + this.#options.offset;
    for (const [id, subject] of [...this.#subjects]) {
      if (subject.process.container !== container) continue;
      this.#options.sampler.ask({ is: 'remove', id });
      if (isAlive(subject.process)) this.#gap('NOT_WATCHED', subject.name, now, now, 0);
      else this.#gone(subject, now);
      this.#forget(id, subject);
    }
    this.#options.watch.leave(container);
  }

  predict(prediction: Prediction): void {
    const subject = [...this.#subjects.values()].find(({ name }) => name === prediction.process);
    if (subject?.opened === true) {
      this.#options.sampler.ask({ is: 'predict', prediction });
      return;
    }
    this.#predictions.delete(prediction.process);
    this.#predictions.set(prediction.process, prediction);
    if (this.#predictions.size > MAX_PREDICTIONS) this.#predictions.delete(this.#predictions.keys().next().value!);
  }

  /**
   * Writes what the sampling thread told. Looks that began after `until` (event time) are left out. Throws why the first
   * process of a recording cannot be looked at.
   */
  async take(batch: readonly SamplerTold[], until: () => Micros): Promise<void> {
    for (const told of batch) {
      if (told.is === 'look') {
        this.#options.sampler.taken(1);
        if (told.look.notBefore <= until()) this.#look(told.look);
        const seen = this.#subjects.get(told.id) ?? this.#former.get(told.id);
        if (seen !== undefined) seen.alive = told.look.notBefore;
      } else if (told.is === 'ended') this.lateness = told.lateness;
      else {
        const subject = this.#subjects.get(told.id);
        if (subject !== undefined) this.#event(told, subject);
        // What else is told under a former number, an end or a new program, is told again under the new one.
        else if (told.is === 'gap') this.#lost(told, this.#former.get(told.id));
      }
    }
    await this.#options.sink.breathe();
  }

  #look(look: Omit<Look, 'stream' | 'seq'>): void {
    const { counts } = this;
    this.#options.sink.put('Look', look);
    counts.looks++;
    if (look.planned === 'predicted') counts.predicted++;
    if (look.stopped === true) counts.stopped++;
    for (const { outcome } of look.threads)
      if (outcome === 'sampled' || outcome === 'running' || outcome === 'torn') counts[outcome]++;
    this.#options.onLook?.(look);
  }

  #event(told: Exclude<SamplerTold, { is: 'look' | 'ended' }>, subject: Subject): void {
    switch (told.is) {
      case 'opened':
        this.#answered(subject);
        if (subject.becomes) return;
        if (!subject.opened) this.#opened(subject, told.binary, told.at);
        else if (subject.binary !== told.binary) {
          subject.binary = told.binary;
          this.#process(subject, 'exec', subject.alive, told.at);
        }
        this.#reconsider(told.id, subject);
        return;
      case 'failed': {
        this.#answered(subject);
        this.#forget(told.id, subject);
        if (subject.becomes || (this.#options.ofOne === true && this.counts.processes === 1))
          throw new AttestreamError(told.code as ErrorCode, told.message);
        const now = Math.max(subject.alive, this.#scanned);
        if (told.code === 'PROCESS_GONE') this.#gone(subject, now);
        else {
          this.#wasThere(subject, now);
          this.#gap(told.code, subject.name, subject.alive, now, 0);
        }
        return;
      }
      case 'event':
        subject.binary = told.binary;
        if (subject.becomes && !subject.opened) {
          subject.opened = true;
          // The program's life begins when it was let go, not when the first look saw it.
          this.#process(subject, 'found', subject.since, subject.since);
          if (told.kind === 'exec') return;
        }
        this.#process(subject, told.kind, told.notBefore, told.at);
        if (told.kind === 'gone') this.#forget(told.id, subject);
        else this.#reconsider(told.id, subject);
        return;
      case 'gap':
        this.#lost(told, subject);
    }
  }

  #lost(told: SamplerTold & { readonly is: 'gap' }, subject: Subject | undefined): void {
    if (subject !== undefined) this.#gap(told.reason, subject.name, told.notBefore, told.at, told.lost);
  }

  #answered(subject: Subject): void {
    for (const [id, former] of this.#former) if (former === subject) this.#former.delete(id);
  }

  #opened(subject: Subject, binary: string, at: Micros): void {
    subject.opened = true;
    const { parent, since } = subject;
    const forked = parent !== null;
    subject.binary = forked ? parent.binary : binary;
    this.#process(subject, forked ? 'fork' : 'found', since, Math.max(since, at));
    if (subject.binary !== binary && binary !== '') {
      subject.binary = binary;
      this.#process(subject, 'exec', since, Math.max(since, at));
    }
    const prediction = this.#predictions.get(subject.name);
    if (prediction !== undefined) {
      this.#predictions.delete(subject.name);
      this.#options.sampler.ask({ is: 'predict', prediction });
    }
  }

  /** It came and went, or cannot be looked at: either way it was there. */
  #wasThere(subject: Subject, now: Micros): void {
    if (!subject.opened) this.#opened(subject, '', now);
  }

  #gone(subject: Subject, now: Micros): void {
    this.#wasThere(subject, now);
    this.#process(subject, 'gone', subject.alive, now);
  }

  #process(subject: Subject, kind: ProcessEvent['kind'], notBefore: Micros, at: Micros): void {
    const beginning = kind === 'found' && subject.becomes;
    this.#options.sink.put('ProcessEvent', {
      at: beginning ? notBefore : at,
      notBefore,
      process: subject.name,
      container: subject.process.container,
      kind,
      beginning,
      binary: subject.binary,
      image: subject.image,
      parent: kind === 'fork' ? (subject.parent?.name ?? '') : '',
      exitCode: null,
    });
  }

  #gap(reason: string, process: string, notBefore: Micros, at: Micros, lost: number): void {
    this.counts.gaps++;
    this.#options.sink.put('Gap', { at, notBefore, process, reason, lost });
  }

  #forget(id: number, subject: Subject): void {
    this.#subjects.delete(id);
    this.#answered(subject);
    const { pid, container } = subject.process;
    if (![...this.#subjects.values()].some(({ process }) => process.container === container)) {
      this.#groups.delete(container);
      this.#options.sampler.ask({ is: 'ungroup', group: container });
    }
    if (this.#byPid.get(pid) === subject) this.#byPid.delete(pid);
    this.#options.watch.ended(pid);
  }
}
