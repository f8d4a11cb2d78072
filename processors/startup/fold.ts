import { decodeRecord, encodeRecord } from '../../schemas/codec.js';
import { isAttestreamError } from '../../schemas/errors.js';
import { challengeLeaf } from '../../schemas/evidence/challenge.js';
import type { HostPolicy } from '../../schemas/policy/host/host-policy.js';
import type {
  Approval,
  EnrolAnswer,
  EnrolRequest,
  Evidence,
  FirmwareLog,
  ListEntry,
  Records,
  Rest,
  StreamOpened,
  Tick,
} from '../../schemas/records.js';
import { type PcrSelection, selectionFromText } from '../../schemas/tpm/selection.js';
import type { Fold, HostRecordName, Said, WideRecordName, World } from '../engine/fold.js';
import { acceptEvidence } from './accept.js';
import { authenticate } from './authenticate.js';
import { CHECK_VALUES, type Failure } from './checks/check.js';
import type { Answered, Epoch } from './checks/epoch.js';
import { concludeHost } from './conclusion.js';
import { type Refused, takeAnswer, takeChallenge, takeEnrolled, takeRequest } from './enrolment.js';
import { bindingPcrOf, explain } from './explain.js';
import { type HostState, initialState, type Waiting } from './host-state.js';
import { HostPolicies } from './in-force.js';
import { addBindingEntry } from './lists/binding-list.js';
import { listsOf } from './lists/boot-lists.js';
import { addFirmwarePart, firmwareFacts } from './lists/firmware-log.js';
import { addKernelEntry, cursorOf, dropTail, emptyKernelList } from './lists/kernel-list.js';
import { decodeHost, encodeHost } from './snapshot.js';
import { compareHeads, noteHead, openStream, streamOf } from './streams.js';
import { FOLD, hostVerdict } from './verdict.js';

export type StartupEvents = 'StreamOpened' | 'ListEntry' | 'FirmwareLog' | 'EnrolRequest' | 'EnrolAnswer' | 'Evidence';

export interface StartupOptions {
  /** The policy that holds from the start and overrides every assignment: the first counts. */
  readonly policies?: readonly HostPolicy[];
  /** A policy by its digest, for assignments; loaded before the batch that names it is pushed. */
  readonly blob?: (digest: string) => HostPolicy | undefined;
}

const STALE_AFTER = 3;
/** Ticks per verifier that evidence or a session may answer. */
const EPOCHS = 64;
/** Requests to one host that one tick may bear. */
const REQUESTS_PER_TICK = 4096;

/** What was extended into the binding register stays there until a reset. */
const UNTIL_BOOT: ReadonlySet<string> = new Set(['binding.start-unexplained', 'binding.foreign-extend']);

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

const selectionOf = (text: string): PcrSelection | null => {
  if (text === '') return null;
  try {
    return selectionFromText(text);
  } catch (error) {
    if (isAttestreamError(error)) return null;
    throw error;
  }
};

/** Judges hosts by what their TPMs say: measurements in, verdicts of kind `host` out, in the order of the partition. */
class StartupFold implements Fold<StartupEvents, HostState> {
  readonly name = FOLD.name;
  readonly version = FOLD.version;
  readonly topic = 'measurements';
  readonly chained = true;
  readonly fields = {
    StreamOpened: ['boot'],
    ListEntry: ['list', 'index', 'pcr', 'template', 'templateDigest', 'data'],
    FirmwareLog: ['index', 'of', 'data', 'commandLine'],
    EnrolRequest: ['requestId', 'ekPublic', 'aik1Public'],
    EnrolAnswer: ['requestId', 'secret'],
    Evidence: ['core'],
  } as const;
  readonly #policies: HostPolicies;
  readonly #epochs = new Map<string, Epoch[]>();
  readonly #approvals: Approval[] = [];
  /** `issued` of the newest tick: the time of verdicts, which no host chooses. */
  #time = -1;
  #counted = { offset: -1, host: '', ordinal: 0 };

  constructor(options: StartupOptions) {
    this.#policies = new HostPolicies(options.policies ?? null, options.blob ?? (() => undefined));
  }

  initial(host: string): HostState {
    return initialState(host);
  }

  step(state: HostState, type: StartupEvents, event: Records[StartupEvents], world: World): HostState {
    if (type === 'StreamOpened') openStream(state, world.stream, (event as StreamOpened).boot);
    const stream = streamOf(state, world.stream);
    noteHead(stream, world.seq, world.head);
    switch (type) {
      case 'ListEntry':
        this.#listEntry(state, stream.boot, event as ListEntry);
        break;
      case 'FirmwareLog':
        this.#firmwareLog(state, stream.boot, event as FirmwareLog);
        break;
      case 'EnrolRequest':
        this.#enrolment(takeRequest, state, event as EnrolRequest, world);
        break;
      case 'EnrolAnswer':
        this.#enrolment(
          (host, answer: EnrolAnswer) => takeAnswer(host, answer, (verifier) => this.#newest(verifier)),
          state,
          event as EnrolAnswer,
          world,
        );
        break;
      case 'Evidence':
        this.#evidence(state, event as Evidence, stream.boot, world);
        return state;
    }
    // Entries come by the million: only what may change the conclusion is concluded from.
    const changed = type === 'ListEntry' || type === 'FirmwareLog' ? this.#resume(state, world) : true;
    if (changed || state.said === '') this.#conclude(state, world);
    return state;
  }

  timer(state: HostState): HostState {
    return state;
  }

  tick(state: HostState, tick: Tick, world: World): HostState {
    const { waiting, attestation } = state;
    if (waiting !== null) {
      waiting.ticks++;
      this.#askForEntries(state, world);
    }
    const staleAfter = this.#policies.of(state.host)?.staleAfter ?? STALE_AFTER;
    if (
      state.phase === 'attested' &&
      attestation !== null &&
      attestation.verifier === hex(tick.verifierId) &&
      tick.number - attestation.newest > staleAfter
    ) {
      state.phase = 'stale';
      this.#conclude(state, world);
    }
    return state;
  }

  broadcast(said: Said<WideRecordName>): void {
    switch (said.name) {
      case 'Tick':
        this.#epoch(said.record);
        break;
      case 'Assignment':
        this.#policies.assign(said.record);
        break;
      case 'Approval':
        this.#approvals.push(said.record);
        break;
      case 'Revoked':
        break;
    }
  }

  told(state: HostState, said: Said<HostRecordName | 'Revoked'>, world: World): HostState {
    switch (said.name) {
      case 'EnrolChallenge':
        this.#enrolment(takeChallenge, state, said.record, world);
        break;
      case 'Enrolled': {
        if (!this.#enrolment((host, record) => takeEnrolled(host, record, this.#approvals), state, said.record, world))
          break;
        state.phase = 'enrolled';
        state.revoked = null;
        state.session = null;
        state.attestation = null;
        state.cores.length = 0;
        state.waiting = null;
        state.failure = null;
        state.latch = null;
        break;
      }
      case 'Revoked':
        state.revoked = { reason: said.record.reason, issued: said.record.issued };
        state.phase = 'revoked';
        state.waiting = null;
        break;
      case 'Request':
      case 'Checkpoint':
        break;
    }
    this.#conclude(state, world);
    return state;
  }

  encode(state: HostState): Buffer {
    return encodeHost(state);
  }

  decode(host: string, bytes: Buffer): HostState {
    return decodeHost(host, bytes);
  }

  // --- what everybody is told ---

  #epoch(tick: Tick): void {
    const verifier = hex(tick.verifierId);
    const epochs = this.#epochs.get(verifier) ?? [];
    epochs.push({
      verifier,
      number: tick.number,
      leaf: hex(challengeLeaf(tick)),
      issued: tick.issued,
      k: tick.k,
      selection: selectionOf(tick.selection),
    });
    if (epochs.length > EPOCHS) epochs.shift();
    this.#epochs.set(verifier, epochs);
    this.#time = Math.max(this.#time, tick.issued);
  }

  #newest(verifier: string): number {
    return this.#epochs.get(verifier)?.at(-1)?.number ?? -1;
  }

  // --- what a host says ---

  #listEntry(state: HostState, boot: string, entry: ListEntry): void {
    if (entry.list !== 'kernel' && entry.list !== 'binding') return; // container lists are judged elsewhere
    const { index, pcr, template, templateDigest, data } = entry;
    if (index < 0) return;
    const lists = listsOf(state.boots, boot, state.attestation?.boot ?? null);
    const record = { pcr, template, templateDigest, data };
    // What finds no room is missing, and asked for again once there is.
    if (entry.list === 'kernel') addKernelEntry(lists.kernel, index, record);
    else addBindingEntry(lists.binding, index, record);
  }

  #firmwareLog(state: HostState, boot: string, part: FirmwareLog): void {
    const { firmware } = listsOf(state.boots, boot, state.attestation?.boot ?? null);
    const whole = addFirmwarePart(firmware, part.index, part.of, part.data);
    if (whole !== null) firmware.facts = firmwareFacts(whole, part.commandLine ?? '');
  }

  #enrolment<R>(take: (state: HostState, record: R) => Refused, state: HostState, record: R, world: World): boolean {
    let refused: Refused;
    try {
      refused = take(state, record);
    } catch (error) {
      if (!isAttestreamError(error)) throw error;
      refused = error.message;
    }
    if (refused !== null) world.refuse('ENROLMENT_UNPROVEN', refused);
    return refused === null;
  }

  #evidence(state: HostState, evidence: Evidence, boot: string, world: World): void {
    const { topic, partition, offset } = world.coordinates;
    const rest: Rest = { stream: world.stream, seq: world.seq, topic, partition, offset };
    state.waiting = null;
    this.#consider(state, evidence, boot, rest, null, world);
    this.#conclude(state, world);
  }

  /** Takes evidence up again that waited for entries. False if it still waits, or none does. */
  #resume(state: HostState, world: World): boolean {
    const { waiting } = state;
    if (waiting === null || this.#firstMissing(state, waiting) !== null) return false;
    state.waiting = null;
    this.#consider(state, waiting.evidence, waiting.boot, waiting.rest, waiting.answered, world);
    return true;
  }

  /** What is there already is not looked for again: entries come by the million. */
  #firstMissing(state: HostState, waiting: Waiting): { list: 'kernel' | 'binding'; from: number } | null {
    const { kernel, binding } = listsOf(state.boots, waiting.boot, state.attestation?.boot ?? null);
    const { from, evidence } = waiting;
    for (from.kernel = Math.max(from.kernel, cursorOf(kernel)); from.kernel < evidence.nI1; from.kernel++)
      if (!kernel.tail.has(from.kernel)) return { list: 'kernel', from: from.kernel };
    for (from.binding = Math.max(from.binding, binding.count); from.binding < evidence.nB1; from.binding++)
      if (!binding.tail.has(from.binding)) return { list: 'binding', from: from.binding };
    return null;
  }

  #consider(
    state: HostState,
    evidence: Evidence,
    boot: string,
    rest: Rest,
    answered: Answered | null,
    world: World,
  ): void {
    const policy = this.#policies.of(state.host);
    const authenticated = authenticate({
      state,
      evidence,
      epochs: this.#epochs,
      policy,
      ...(answered === null ? {} : { answered }),
    });
    if ('code' in authenticated) {
      this.#reject(state, authenticated, rest, null, world);
      return;
    }
    const { resetCount } = authenticated.quote;
    const heads = compareHeads(state, this.topic, evidence.heads);
    if (heads.failure !== null) {
      this.#reject(state, heads.failure, rest, resetCount, world);
      return;
    }
    const lists = listsOf(state.boots, boot, state.attestation?.boot ?? null);
    const bindingPcr = bindingPcrOf(policy);
    const explained = explain({ state, lists, evidence, boot, authenticated, bindingPcr });
    if ('code' in explained) {
      dropTail(lists.kernel);
      lists.binding.tail.clear();
      this.#reject(state, explained, rest, resetCount, world);
      this.#ask(state, world, { kind: 'list-from', list: 'kernel', from: cursorOf(lists.kernel) }, explained.code);
      return;
    }
    const rewind = policy !== null && lists.kernel.policy !== policy.digest && cursorOf(lists.kernel) > 0;
    if ('missing' in explained || rewind) {
      // Proven entries were forgotten, and are needed again: under another policy, or for another bank.
      if (rewind || ('missing' in explained && explained.from < cursorOf(lists.kernel)))
        state.boots.set(boot, { ...lists, kernel: emptyKernelList() });
      state.waiting = {
        evidence: decodeRecord('Evidence', encodeRecord('Evidence', evidence)),
        stream: rest.stream,
        boot,
        answered: authenticated.answered,
        rest,
        ticks: 0,
        from: { kernel: 0, binding: 0 },
      };
      if (rewind) this.#askForEntries(state, world);
      return;
    }
    acceptEvidence({ state, lists, boot, evidence, authenticated, explained, policy, rest, heads });
    for (const { topic, stream, seq, head } of evidence.heads)
      if (topic === 'memory' && state.phase === 'attested')
        world.say({
          name: 'Checkpoint',
          topic: 'memory',
          record: {
            ...this.#numbered(state),
            host: state.host,
            topic,
            stream: Buffer.from(stream),
            seq,
            head: Buffer.from(head),
          },
        });
  }

  #reject(state: HostState, failure: Failure, rest: Rest, resetCount: number | null, world: World): void {
    if (CHECK_VALUES[failure.code] === 0 || state.phase === 'revoked') {
      world.refuse('EVIDENCE_IGNORED', `${failure.code}: ${failure.message}`);
      if (failure.code === 'certify.missing') this.#ask(state, world, { kind: 'certify' }, failure.message);
      if (failure.code === 'host.unknown') this.#ask(state, world, { kind: 're-enrol' }, failure.message);
      return;
    }
    if (state.latch?.until === 'enrolment') return;
    state.phase = 'untrusted';
    state.failure = { ...failure, rest };
    if (failure.code.startsWith('identity.')) state.latch = { until: 'enrolment' };
    else if (UNTIL_BOOT.has(failure.code) && resetCount !== null) state.latch = { until: 'boot', resetCount };
  }

  // --- what is said ---

  #askForEntries(state: HostState, world: World): void {
    const missing = state.waiting === null ? null : this.#firstMissing(state, state.waiting);
    if (missing !== null)
      this.#ask(state, world, { kind: 'list-from', ...missing }, 'entries that the evidence counts did not come');
  }

  /** Numbers that rise with the log and are the same whenever it is read: a copy of a request is dropped as one. */
  #numbered(state: HostState): { number: number; issued: number } {
    const tick = Math.max(0, ...[...this.#epochs.values()].map((epochs) => epochs.at(-1)?.number ?? 0));
    if (state.asked.tick !== tick) state.asked = { tick, count: 0 };
    return { number: tick * REQUESTS_PER_TICK + state.asked.count++, issued: Math.max(0, this.#time) };
  }

  #ask(
    state: HostState,
    world: World,
    wish: { readonly kind: string; readonly list?: string; readonly from?: number },
    reason: string,
  ): void {
    if (state.asked.count >= REQUESTS_PER_TICK - 1) return;
    const { kind, list = '', from = 0 } = wish;
    world.say({
      name: 'Request',
      topic: 'measurements',
      record: { ...this.#numbered(state), host: state.host, kind, list, container: '', from, reason },
    });
  }

  /** Says what is concluded of the host, if it is not what was said last. */
  #conclude(state: HostState, world: World): void {
    const policy = this.#policies.of(state.host);
    const { state: trust, value, reasons, message } = concludeHost(state, policy);
    const digest = policy === null ? '' : state.policy;
    // A further violation is said again; how often something is borne is not.
    const said = [
      trust,
      digest,
      ...reasons.map(({ code, level, count }) => (level === 'contraindicated' ? `${code}:${count}` : code)),
    ].join('|');
    if (said === state.said) return;
    state.said = said;
    const { attestation, enrolment, failure } = state;
    const lists = attestation === null ? undefined : state.boots.get(attestation.boot);
    const verdict = hostVerdict(
      {
        host: state.host,
        state: trust,
        policy: digest,
        at: Math.max(0, this.#time >= 0 ? this.#time : world.now),
        message,
        rests:
          state.phase === 'untrusted' && failure !== null
            ? [failure.rest]
            : attestation === null
              ? []
              : [attestation.rest],
        assumes: enrolment?.basis === 'roots' ? ['some genuine TPM, label unverified'] : [],
        bindings: {
          reasons,
          ...(enrolment === null
            ? {}
            : {
                label: enrolment.label,
                identity: { ek: enrolment.nameEk, aik1: enrolment.nameAik1, aik2: state.session?.aik2Name ?? '' },
                anchors: enrolment.anchors,
              }),
          notChecked: [...(enrolment?.notChecked ?? []), ...state.notChecked],
        },
        numbers: {
          ar4si: value,
          ...(attestation === null
            ? {}
            : {
                epoch: attestation.epoch,
                issued: attestation.issued,
                newestTick: attestation.newest,
                resetCount: attestation.resetCount,
                restartCount: attestation.restartCount,
              }),
          ...(lists === undefined
            ? {}
            : { entries: cursorOf(lists.kernel), violations: lists.kernel.appraisal.violations }),
        },
      },
      world,
      this.#ordinal(state.host, world),
    );
    world.emit(verdict);
  }

  /** Verdicts on one host at one record are numbered from 0. */
  #ordinal(host: string, world: World): number {
    const { offset } = world.coordinates;
    if (this.#counted.offset !== offset || this.#counted.host !== host) this.#counted = { offset, host, ordinal: 0 };
    return this.#counted.ordinal++;
  }
}

/** The start-up fold: topic `measurements` to verdicts of kind `host`. */
export const startupFold = (options: StartupOptions): Fold<StartupEvents, HostState> => new StartupFold(options);
