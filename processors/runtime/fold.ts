import type { Policy } from '../../schemas/policy/policy.js';
import { type Known, UNKNOWN, type Value } from '../../schemas/policy/value.js';
import type {
  Activation,
  Gap,
  Look,
  Micros,
  ProcessEvent,
  Records,
  StreamOpened,
  Tick,
} from '../../schemas/records.js';
import type { Fold, HostRecordName, Said, WideRecordName, World } from '../engine/fold.js';
import type { SeenCall } from './belief/advance.js';
import { type CallPlan, fillArguments, type Source } from './call.js';
import { type Keep, observe } from './coverage/stretch.js';
import { beginning, sinceAnchor } from './coverage/threads.js';
import type { HostState } from './host-state.js';
import { InForce } from './in-force.js';
import { Instance, type Ordinals } from './instance.js';
import type { PolicyInForce } from './policies.js';
import { type Judged, newProcess, type Process, sliceOf, sliceText } from './process.js';
import { decodeHost, encodeHost } from './snapshot.js';
import { follow, noteHead, takeCheckpoint, waitForStreams } from './streams.js';
import type { Track } from './track.js';
import { FOLD } from './verdict.js';

export type RuntimeEvents = 'StreamOpened' | 'ProcessEvent' | 'Activation' | 'Look' | 'Gap';

export interface RuntimeOptions {
  /** Policies that hold from the start and override every assignment. */
  readonly policies?: readonly Policy[];
  /** A policy by its digest, for assignments; loaded before the batch that names it is pushed. */
  readonly blob?: (digest: string) => Policy | undefined;
}

const EXIT = '$exit';
const EXEC = '$exec';

const sourceOf = (world: World): Source => ({ stream: world.stream, seq: world.seq, offset: world.coordinates.offset });

/** Judges processes by their policies' machines: memory events in, verdicts out. */
class RuntimeFold implements Fold<RuntimeEvents, HostState> {
  readonly name = FOLD.name;
  readonly version = FOLD.version;
  readonly topic = 'memory';
  readonly fields = {
    StreamOpened: ['at', 'kind'],
    ProcessEvent: ['at', 'notBefore', 'process', 'container', 'kind', 'beginning', 'binary', 'image', 'parent'],
    Activation: ['at', 'notBefore', 'process', 'thread', 'function', 'beginning', 'parameters'],
    Look: ['at', 'notBefore', 'process', 'threads'],
    Gap: ['at', 'notBefore', 'process'],
  } as const;
  readonly #inForce: InForce;
  #offset = -1;
  #host = '';
  #ordinal = 0;
  readonly #ordinals: Ordinals = { next: () => this.#ordinal++ };
  /** One call object for all complete observations: histories copy what they keep. */
  readonly #call = {
    events: [0] as readonly number[],
    function: '',
    thread: 0,
    callers: [] as readonly string[],
    args: [] as (Known | undefined)[],
    notBefore: 0,
    at: 0,
    source: { stream: '', seq: 0, offset: 0 },
  };

  constructor(options: RuntimeOptions) {
    this.#inForce = new InForce(options.policies ?? null, options.blob ?? (() => undefined));
  }

  initial(host: string): HostState {
    return { host, processes: new Map(), wakes: new Map(), nextId: 0, streams: new Map() };
  }

  step(state: HostState, type: RuntimeEvents, event: Records[RuntimeEvents], world: World): HostState {
    this.#count(state.host, world);
    if (world.missing > 0)
      for (const process of state.processes.values()) this.#lose(process, (event as Gap).notBefore, world);
    if (world.head !== null) noteHead(state.streams, state.host, world.head, world);
    switch (type) {
      case 'StreamOpened':
        follow(state.streams, (event as StreamOpened).kind, world);
        break;
      case 'Activation':
        this.#activation(state, event as Activation, world);
        break;
      case 'Look':
        this.#look(state, event as Look, world);
        break;
      case 'ProcessEvent':
        this.#processEvent(state, event as ProcessEvent, world);
        break;
      case 'Gap':
        this.#gap(state, event as Gap, world);
        break;
    }
    return state;
  }

  timer(state: HostState, id: number, world: World): HostState {
    this.#count(state.host, world);
    state.wakes.get(id)?.elapse(world.now, sourceOf(world), world, this.#ordinals);
    return state;
  }

  broadcast(said: Said<WideRecordName>): void {
    if (said.name === 'Assignment') this.#inForce.assign(said.record);
  }

  tick(state: HostState, _tick: Tick, world: World): HostState {
    if (state.streams.size > 0) waitForStreams(state.streams, state.host, world);
    return state;
  }

  told(state: HostState, said: Said<HostRecordName | 'Revoked'>, world: World): HostState {
    if (said.name === 'Checkpoint') takeCheckpoint(state.streams, state.host, said.record, world);
    return state;
  }

  encode(state: HostState): Buffer {
    return encodeHost(state);
  }

  decode(host: string, bytes: Buffer): HostState {
    return decodeHost(host, bytes, (digest) => this.#inForce.byDigest(digest));
  }

  /**
   * A host's verdicts of one record are numbered from 0, those of the timers that it let fire before it included. One tick speaks to
   * every host: which others are in the partition must not show.
   */
  #count(host: string, world: World): void {
    const { offset } = world.coordinates;
    if (offset === this.#offset && host === this.#host) return;
    this.#offset = offset;
    this.#host = host;
    this.#ordinal = 0;
  }

  // --- complete observations ---

  #activation(state: HostState, event: Activation, world: World): void {
    let process = state.processes.get(event.process);
    if (process === undefined) {
      process = newProcess(event.process, true, event.beginning && world.missing === 0 ? event.at : null);
      state.processes.set(event.process, process);
      this.#judge(state.host, process);
    }
    if (process.basis !== this.#inForce.basis) this.#rejudge(state, process);
    const { judged } = process;
    for (let i = 0; i < judged.length; i++) {
      const plan = judged[i]!.policy.plan(event.function);
      if (plan !== null) this.#activate(state, process, judged[i]!, plan, event, world);
    }
  }

  #activate(state: HostState, process: Process, judged: Judged, plan: CallPlan, event: Activation, world: World): void {
    const call = this.#call;
    call.events = plan.events;
    call.function = event.function;
    call.thread = event.thread;
    call.notBefore = event.notBefore;
    call.at = event.at;
    call.args.length = plan.blank.length;
    fillArguments(plan, event.parameters, call.args);
    call.source.stream = world.stream;
    call.source.seq = world.seq;
    call.source.offset = world.coordinates.offset;
    const key = sliceOf(judged, call.args, plan.slicePlace, event.thread);
    if (key === 'all')
      for (const instance of judged.instances.values()) this.#deliver(process, judged, instance, world);
    else if (key === UNKNOWN) {
      for (const instance of judged.instances.values()) instance.perhaps(call, world, this.#ordinals);
      judged.forgot = true;
    } else this.#deliver(process, judged, this.#instance(state, process, judged, key), world);
  }

  #deliver(process: Process, judged: Judged, instance: Instance, world: World): void {
    const call = this.#call;
    const begin = (track: Track, at: Micros): void =>
      process.begun !== null && !judged.forgot ? track.begin(at) : track.beginUnknown(at);
    if (!instance.track.started) begin(instance.track, call.at);
    if (!world.late) {
      instance.call(call, world, this.#ordinals);
      return;
    }
    const { within, beyond } = judged.policy.policy.lateness;
    if (call.at >= world.now - within && instance.late(call, world, this.#ordinals, begin)) return;
    // The call happened, and nobody can say any more what it did to the state.
    instance.lose(world.now);
    if (beyond !== 'count')
      world.refuse(
        'EVENT_TOO_LATE',
        `${call.function} of ${process.name} at ${call.at} µs came when its host was at ${world.now} µs`,
      );
  }

  // --- sampled observations ---

  #look(state: HostState, event: Look, world: World): void {
    let process = state.processes.get(event.process);
    if (process === undefined) {
      process = newProcess(event.process, false, null);
      state.processes.set(event.process, process);
      this.#judge(state.host, process);
    }
    if (process.basis !== this.#inForce.basis) this.#rejudge(state, process);
    if (world.late && process.anchor !== null && event.at < process.anchor.to) {
      this.#lose(process, world.now, world);
      return;
    }
    const looked = process.threads.take(event);
    if (looked === null) return;
    const before = process.anchor;
    const anchor = before === null ? looked : sinceAnchor(before, looked);
    process.anchor = anchor;
    const source = sourceOf(world);
    for (const judged of process.judged) {
      const { slice } = judged.policy.policy;
      if (before === null) {
        // First look of an unknown past: whatever is on the stack began before coverage did.
        for (const instance of judged.instances.values()) instance.lose(anchor.from, anchor.to);
        if (slice === null) this.#instance(state, process, judged, null).lose(anchor.from, anchor.to);
        continue;
      }
      const observed = observe(judged.policy, before, anchor, source, () => true);
      if (slice !== null) this.#meetSlices(state, process, judged, observed.stretch.seen);
      else this.#instance(state, process, judged, null);
      for (const instance of judged.instances.values()) {
        const own =
          slice === null
            ? observed
            : observe(judged.policy, before, anchor, source, (call) => this.#belongs(judged, call, instance));
        const { track } = instance;
        if (!track.started) {
          if (process.begun !== null && slice === null && !judged.forgot) track.begin(process.begun);
          else track.beginUnknown(before.from, before.to);
        }
        if (own.assumes.length > 0) track.assumes = [...new Set([...track.assumes, ...own.assumes])].sort();
        track.stretch(own.stretch, source);
        instance.settle(world, this.#ordinals);
      }
    }
  }

  #belongs(judged: Judged, call: SeenCall, instance: Instance): Keep {
    const key = sliceOf(judged, call.args, judged.policy.plan(call.function)?.slicePlace ?? -1, call.thread);
    if (key === UNKNOWN) return 'perhaps';
    return key === 'all' || (key !== null && sliceText(key as Value) === instance.subject.slice);
  }

  #meetSlices(state: HostState, process: Process, judged: Judged, seen: readonly SeenCall[]): void {
    for (const call of seen) {
      const key = sliceOf(judged, call.args, judged.policy.plan(call.function)?.slicePlace ?? -1, call.thread);
      if (key !== 'all' && key !== UNKNOWN && key !== null) this.#instance(state, process, judged, key);
    }
  }

  // --- processes ---

  #processEvent(state: HostState, event: ProcessEvent, world: World): void {
    let process = state.processes.get(event.process);
    if (event.kind === 'gone') {
      if (process !== undefined) this.#gone(state, process, event, world);
      return;
    }
    if (event.kind !== 'found' && event.kind !== 'exec' && event.kind !== 'fork') return; // a word of a later version
    if (process !== undefined && event.kind !== 'exec') return;
    const begun = event.beginning && world.missing === 0 ? event.at : null;
    if (process !== undefined) this.#forget(state, process);
    process = newProcess(event.process, false, begun);
    process.container = event.container;
    process.binary = event.binary;
    process.image = event.image;
    process.anchor = begun === null ? null : beginning(begun);
    state.processes.set(event.process, process);
    this.#judge(state.host, process);
    if (event.kind === 'fork')
      process.judged = process.judged.filter(({ policy }) => policy.policy.onFork !== 'ignore');
    if (event.kind === 'exec' && begun === null) this.#special(state, process, EXEC, event, world);
  }

  #gone(state: HostState, process: Process, event: ProcessEvent, world: World): void {
    this.#special(state, process, EXIT, event, world);
    this.#forget(state, process);
    state.processes.delete(process.name);
  }

  /** `$exit` and `$exec` reach every live instance; before them, anything may have happened since the last look. */
  #special(_state: HostState, process: Process, name: string, event: ProcessEvent, world: World): void {
    const source = sourceOf(world);
    for (const judged of process.judged) {
      const number = judged.policy.machine.event(name);
      for (const instance of judged.instances.values()) {
        const { track } = instance;
        if (!track.started || number < 0) continue;
        const call = {
          events: [number],
          function: name,
          thread: 0,
          callers: [],
          args: [],
          notBefore: event.notBefore,
          at: event.at,
          source,
        };
        if (process.complete) track.call(call);
        else {
          // Unknown since a loss: from whenever belief begins.
          const from = process.anchor?.from ?? 0;
          track.stretch(
            {
              from,
              to: event.at,
              settled: event.notBefore,
              seen: [{ ...call, must: true, after: 0 }],
              unseen: judged.policy.unseen,
            },
            source,
          );
        }
        if (name === EXIT && judged.policy.policy.openAtExit === 'violation') track.exit(event.at, source);
        instance.settle(world, this.#ordinals);
      }
    }
  }

  #gap(state: HostState, event: Gap, world: World): void {
    for (const process of state.processes.values())
      if (event.process === '' || event.process === process.name) this.#lose(process, event.at, world);
  }

  /** Records of the host were lost: a call, an exec, anything. */
  #lose(process: Process, at: Micros, world: World): void {
    process.begun = null;
    process.anchor = null;
    process.threads.forget();
    for (const judged of process.judged) {
      judged.forgot = true;
      for (const instance of judged.instances.values()) {
        instance.lose(Math.max(at, 0));
        instance.settle(world, this.#ordinals);
      }
    }
  }

  #forget(state: HostState, process: Process): void {
    for (const judged of process.judged) for (const { id } of judged.instances.values()) state.wakes.delete(id);
  }

  #judge(host: string, process: Process): void {
    process.judged = this.#policiesFor(host, process).map(judgement);
    process.basis = this.#inForce.basis;
    process.rebase = this.#inForce.rebase;
  }

  /**
   * A running process keeps its machines until it exits, unless an assignment rebases it; one that nobody judges yet takes what
   * is assigned. What comes anew begins with an unknown state.
   */
  #rejudge(state: HostState, process: Process): void {
    const { basis, rebase } = this.#inForce;
    if (process.judged.length === 0 || process.rebase !== rebase) {
      const kept = new Map(process.judged.map((judged) => [judged.policy.policy.digest, judged]));
      const next = this.#policiesFor(state.host, process).map(
        (policy) => kept.get(policy.policy.digest) ?? { ...judgement(policy), forgot: true },
      );
      for (const judged of process.judged)
        if (!next.includes(judged)) for (const { id } of judged.instances.values()) state.wakes.delete(id);
      process.judged = next;
    }
    process.basis = basis;
    process.rebase = rebase;
  }

  #policiesFor(host: string, { container, binary, image }: Process): readonly PolicyInForce[] {
    return this.#inForce.of({ host, container, binary, image });
  }

  #instance(state: HostState, process: Process, judged: Judged, key: Value): Instance {
    const text = sliceText(key);
    let instance = judged.instances.get(text);
    if (judged.policy.policy.slice !== null && instance !== undefined) {
      judged.instances.delete(text);
      judged.instances.set(text, instance);
    }
    if (instance !== undefined) return instance;
    const { policy, machine } = judged.policy;
    const subject = {
      host: state.host,
      container: process.container,
      process: process.name,
      slice: text,
      policy: policy.digest,
      machine: machine.digest,
    };
    instance = new Instance(judged.policy, subject, key, state.nextId++, process.complete);
    judged.instances.set(text, instance);
    state.wakes.set(instance.id, instance);
    if (judged.instances.size > policy.maxSlices) {
      const [oldest, evicted] = judged.instances.entries().next().value!;
      judged.instances.delete(oldest);
      state.wakes.delete(evicted.id);
      judged.evicted++;
      judged.forgot = true;
    }
    return instance;
  }
}

const judgement = (policy: PolicyInForce): Judged => ({ policy, instances: new Map(), forgot: false, evicted: 0 });

/** The runtime fold: topic `memory` to verdicts of kind `process`. */
export const runtimeFold = (options: RuntimeOptions): Fold<RuntimeEvents, HostState> => new RuntimeFold(options);
