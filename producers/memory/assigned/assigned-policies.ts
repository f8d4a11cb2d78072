import { setTimeout as delay } from 'node:timers/promises';
import type { EventLog } from '../../../infra/log/event-log.js';
import { typedRecords } from '../../../infra/log/typed-records.js';
import { Assignments, refuseAssignment } from '../../../schemas/policy/assignments.js';
import type { Policy } from '../../../schemas/policy/policy.js';
import { policyMayCover, type Subject } from '../../../schemas/policy/selector.js';
import type { Assignment } from '../../../schemas/records.js';
import { isSigned, type PinnedKeys } from '../../../schemas/signed.js';
import { partitionOf } from '../../../schemas/topics.js';
import type { AgentContext } from '../../agent.js';
import { keepTrying } from '../../stream/keep-trying.js';
import { together } from '../../stream/together.js';
import { PolicyDocuments } from './policy-documents.js';
import type { HeldPolicies, PolicySource } from './policy-source.js';

/**
 * Assignments stand in every partition of what folds read. The partition of measurements is by far the smaller one: it holds no
 * looks, and is read from its start.
 */
const TOPIC = 'measurements';
/** ms between questions for documents that have not arrived: often at first, and ever more seldom. */
const ASK_MS = 500;
const ASK_MOST_MS = 60_000;
const TELL_MS = 4000;
/** Refused records that are told of one by one; more only at each doubling, for whoever may write the log may write many. */
const TOLD = 16;

export interface AssignedPoliciesOptions {
  /** Operators whose assignments count. */
  readonly keys: PinnedKeys;
  readonly onNote?: (note: string) => void;
}

/** The policies that signed assignments on the log put into force for processes of this host. */
export class AssignedPolicies implements PolicySource {
  readonly #options: AssignedPoliciesOptions;
  readonly #assignments = new Assignments();
  /** Withdrawn ones too, so that none returns by an older record. Only what a pinned key signed takes a place. */
  readonly #newest = new Map<string, Assignment>();
  readonly #documents = new PolicyDocuments((code, message) => this.#refuse(code, message));
  #ready = false;
  #refused = 0;
  #wake: () => void = () => {};

  constructor(options: AssignedPoliciesOptions) {
    this.#options = options;
  }

  get basis(): string {
    return `${this.#documents.arrived} ${this.#assignments.basis}`;
  }

  get rebase(): string {
    return this.#assignments.rebase;
  }

  of(subject: Omit<Subject, 'binary'>, binary = ''): HeldPolicies {
    const digests = this.#assignments.for(subject);
    const ofContainer = this.#covering(digests, { ...subject, binary: '' });
    const waiting = digests.some((digest) => this.#documents.isWaiting(digest));
    const ofBinary =
      this.#assignments.asksForBinary(subject) || new Set(ofContainer.map((policy) => policy.binary)).size > 1;
    if (!ofBinary || binary === '') return { policies: ofContainer, ofBinary, waiting };
    const process = { ...subject, binary };
    return { policies: this.#covering(this.#assignments.for(process), process), ofBinary, waiting };
  }

  /** Takes a record of the log, or refuses it with a note. */
  take(assignment: Assignment): void {
    const { id, version, policy } = assignment;
    if (!isSigned('Assignment', assignment, this.#options.keys)) {
      this.#refuse('RECORD_UNSIGNED', `assignment ${JSON.stringify(id.slice(0, 80))} is not signed by a pinned key`);
      return;
    }
    const refusal = refuseAssignment(assignment, this.#newest.get(id));
    if (refusal !== null) {
      if (refusal.refused === 'fault') this.#refuse(refusal.code, refusal.message);
      return;
    }
    this.#newest.set(id, assignment);
    this.#assignments.assign(assignment);
    this.#documents.want(this.#assignments.policies);
    const what = policy === '' ? 'is withdrawn' : `puts policy ${policy} into force`;
    if (this.#ready) this.#options.onNote?.(`assignment ${id}, version ${version}, ${what}`);
    this.#wake();
  }

  /** Reads the documents that have arrived of those that are waited for. Throws the log's errors. */
  async look(log: EventLog): Promise<void> {
    await this.#documents.look(log);
  }

  async follow({ log, host, stop }: AgentContext, ready: () => void): Promise<void> {
    const { onNote } = this.#options;
    let next = 0;
    let partition = -1;
    const read = async (until: number | 'follow', halt: AbortSignal): Promise<void> => {
      for await (const found of typedRecords(log, { topic: TOPIC, partition }, ['Assignment'], next, until, halt)) {
        next = found.offset + 1;
        this.take(found.record);
      }
    };
    const catchUp = async (): Promise<true | null> => {
      const bounds = await log.bounds(TOPIC);
      if (bounds.length === 0) {
        await delay(ASK_MS, undefined, { signal: stop }).catch(() => {});
        return null;
      }
      partition = partitionOf(host, bounds.length);
      const { first, end } = bounds[partition]!;
      next = Math.max(next, first);
      await read(end, stop);
      next = Math.max(next, end);
      await this.look(log);
      return true;
    };
    let caughtUp: true | null | undefined = null;
    while (caughtUp === null) caughtUp = await keepTrying(catchUp, stop, onNote);
    if (caughtUp === undefined) return;
    this.#ready = true;
    ready();
    await together(
      stop,
      async (halt) => {
        await keepTrying(() => read('follow', halt), halt, onNote);
      },
      async (halt) => {
        await keepTrying(() => this.#askForDocuments(log, halt), halt, onNote);
      },
    );
  }

  async #askForDocuments(log: EventLog, stop: AbortSignal): Promise<void> {
    let pause = ASK_MS;
    while (!stop.aborted) {
      const woken = new AbortController();
      this.#wake = () => {
        pause = 0;
        woken.abort();
      };
      if (this.#documents.waiting.length > 0) {
        await this.look(log);
        if (pause === TELL_MS)
          for (const digest of this.#documents.waiting)
            this.#options.onNote?.(`policy ${digest} is in force, but the log does not hold its document yet`);
      }
      const signal = AbortSignal.any([stop, woken.signal]);
      await delay(this.#documents.waiting.length > 0 ? pause : ASK_MOST_MS, undefined, { signal }).catch(() => {});
      pause = Math.min(ASK_MOST_MS, Math.max(ASK_MS, 2 * pause));
    }
  }

  #covering(digests: readonly string[], subject: Pick<Subject, 'binary' | 'image'>): readonly Policy[] {
    return digests
      .map((digest) => this.#documents.get(digest))
      .filter((policy) => policy !== undefined)
      .filter((policy) => policyMayCover(policy, subject));
  }

  #refuse(code: string, message: string): void {
    const count = ++this.#refused;
    if (count <= TOLD) this.#options.onNote?.(`${code}: ${message}; it is not acted on`);
    else if (Math.log2(count) % 1 === 0)
      this.#options.onNote?.(`${code}: ${message}; ${count} such records were not acted on so far`);
  }
}
