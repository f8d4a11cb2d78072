import { decodeRecord, encodeRecord } from '../../schemas/codec.js';
import { AttestreamError } from '../../schemas/errors.js';
import type { Known, Value } from '../../schemas/policy/value.js';
import type { Frame } from '../../schemas/records.js';
import type { Hypothesis } from './belief/hypothesis.js';
import { type CallColumns, callsFromJson, callsToJson } from './call-columns.js';
import type { Anchor, ThreadSeen } from './coverage/threads.js';
import type { Said } from './history.js';
import type { HostState } from './host-state.js';
import { Instance } from './instance.js';
import type { Machine } from './machine/machine.js';
import type { PolicyInForce } from './policies.js';
import { newProcess, type Process } from './process.js';
import { type AttestedHead, type AttestedStream, newStream } from './streams.js';
import { type Draft, type State, Track } from './track.js';
import { valueFromJson, valueToJson } from './value-json.js';

/** JSON of one host's state. Configurations go by their words: their numbers are those of one run only. */
type Json = unknown;

const FORMAT = 2;

/** JSON knows no infinities. */
const time = (t: number): Json => (Number.isFinite(t) ? t : t > 0 ? '+' : '-');
const timeFrom = (json: Json): number =>
  json === '+' ? Number.POSITIVE_INFINITY : json === '-' ? Number.NEGATIVE_INFINITY : (json as number);
const times = (list: readonly number[]): Json => list.map(time);
const timesFrom = (json: Json): number[] => (json as Json[]).map(timeFrom);

const configurationFrom = (machine: Machine, word: string): number => {
  const configuration = machine.named(word);
  if (configuration < 0)
    throw new AttestreamError('SNAPSHOT_FOREIGN', `a snapshot is in state ${word}, which the machine does not have`);
  return configuration;
};

const hypothesisToJson = (machine: Machine, h: Hypothesis): Json => ({
  q: machine.describe(h.configuration),
  c: h.context.map(valueToJson),
  l: times(h.lo),
  h: times(h.hi),
  n: h.now,
  u: h.unseen,
  o: h.owed,
});

const hypothesisFromJson = (machine: Machine, json: Json): Hypothesis => {
  const { q, c, l, h, n, u, o } = json as { q: string; c: Json[]; l: Json; h: Json; n: number; u: number; o: number };
  return {
    configuration: configurationFrom(machine, q),
    context: c.map((value) => valueFromJson(value) as Known),
    lo: timesFrom(l),
    hi: timesFrom(h),
    now: n,
    unseen: u,
    owed: o,
  };
};

const trackToJson = (machine: Machine, track: Track): Json => ({
  started: track.started,
  state: track.state,
  hypotheses: track.hypotheses.map((h) => hypothesisToJson(machine, h)),
  exact:
    track.exact === null
      ? null
      : {
          q: machine.describe(track.exact.configuration),
          c: track.exact.context.map(valueToJson),
          e: times(track.exact.entered),
        },
  doubt: track.doubt,
  latched: track.latched,
  relaxed: track.relaxed,
  errors: track.errors,
  last: track.last,
  assumes: track.assumes,
});

const trackFromJson = (machine: Machine, json: Json, into: Track): Track => {
  const plain = json as Omit<Track, 'hypotheses' | 'exact'> & {
    hypotheses: Json[];
    exact: { q: string; c: Json[]; e: Json } | null;
  };
  into.started = plain.started;
  into.state = plain.state as State | '';
  into.hypotheses = plain.hypotheses.map((h) => hypothesisFromJson(machine, h));
  into.exact =
    plain.exact === null
      ? null
      : {
          configuration: configurationFrom(machine, plain.exact.q),
          context: plain.exact.c.map((value) => valueFromJson(value) as Value),
          entered: timesFrom(plain.exact.e),
        };
  into.doubt = plain.doubt;
  into.latched = plain.latched;
  into.relaxed = plain.relaxed;
  into.errors = plain.errors;
  Object.assign(into.last, plain.last);
  into.assumes = plain.assumes;
  return into;
};

const saidToJson = ({ verdict, draft }: Said): Json => ({
  verdict: encodeRecord('Verdict', verdict).toString('base64'),
  draft,
});
const saidFromJson = (json: Json): Said => {
  const { verdict, draft } = json as { verdict: string; draft: Draft };
  return { verdict: decodeRecord('Verdict', Buffer.from(verdict, 'base64')), draft };
};

const instanceToJson = (instance: Instance): Json => {
  const { machine } = instance.policy;
  const { history } = instance;
  return {
    id: instance.id,
    key: valueToJson(instance.key),
    wakeAt: time(instance.wakeAt),
    track: trackToJson(machine, instance.track),
    history:
      history === null
        ? null
        : {
            base: trackToJson(machine, history.base),
            floor: time(history.floor),
            entries: callsToJson(history.entries),
            said: history.said.map(saidToJson),
            middle:
              history.middle === null ? null : { ...history.middle, track: trackToJson(machine, history.middle.track) },
          },
  };
};

interface InstanceJson {
  readonly id: number;
  readonly key: Json;
  readonly wakeAt: Json;
  readonly track: Json;
  readonly history: {
    readonly base: Json;
    readonly floor: Json;
    readonly entries: CallColumns;
    readonly said: Json[];
    readonly middle: { readonly track: Json; readonly entries: number; readonly said: number } | null;
  } | null;
}

const instanceFromJson = (
  json: InstanceJson,
  policy: PolicyInForce,
  host: string,
  process: Process,
  slice: string,
): Instance => {
  const { machine } = policy;
  const key = valueFromJson(json.key) as Value;
  const subject = {
    host,
    container: process.container,
    process: process.name,
    slice,
    policy: policy.policy.digest,
    machine: machine.digest,
  };
  const instance = new Instance(policy, subject, key, json.id, process.complete);
  instance.wakeAt = timeFrom(json.wakeAt);
  trackFromJson(machine, json.track, instance.track);
  const { history } = instance;
  if (history !== null && json.history !== null) {
    const fresh = (): Track => new Track(policy.rules(key, process.complete));
    history.base = trackFromJson(machine, json.history.base, fresh());
    history.floor = timeFrom(json.history.floor);
    history.entries = callsFromJson(json.history.entries);
    history.said = json.history.said.map(saidFromJson);
    const { middle } = json.history;
    history.middle = middle === null ? null : { ...middle, track: trackFromJson(machine, middle.track, fresh()) };
  }
  return instance;
};

interface ProcessJson {
  readonly name: string;
  readonly container: string;
  readonly binary: string;
  readonly image: string;
  readonly complete: boolean;
  readonly begun: number | null;
  readonly threads: readonly [number, ThreadSeen & { frames: readonly Frame[] }][];
  readonly anchor: Anchor | null;
  readonly basis: string;
  readonly rebase: string;
  readonly judged: readonly {
    readonly policy: string;
    readonly machine: string;
    readonly forgot: boolean;
    readonly evicted: number;
    readonly instances: readonly [string, InstanceJson][];
  }[];
}

interface HeadJson {
  readonly seq: number;
  readonly head: string;
}

interface StreamJson extends Pick<AttestedStream, 'checked' | 'ticks' | 'named' | 'said' | 'ended'> {
  readonly name: string;
  readonly awaited: HeadJson | null;
  readonly newest: HeadJson | null;
  /** The first head's seq, and all of them side by side. */
  readonly first: number;
  readonly heads: string;
}

const headToJson = (attested: AttestedHead | null): HeadJson | null =>
  attested === null ? null : { seq: attested.seq, head: attested.head.toString('base64') };
const headFromJson = (json: HeadJson | null): AttestedHead | null =>
  json === null ? null : { seq: json.seq, head: Buffer.from(json.head, 'base64') };

const streamToJson = ([name, stream]: readonly [string, AttestedStream]): StreamJson => {
  const { heads, checked, awaited, newest, ticks, named, said, ended } = stream;
  return {
    name,
    checked,
    awaited: headToJson(awaited),
    newest: headToJson(newest),
    ticks,
    named,
    said,
    ended,
    first: heads.size === 0 ? 0 : heads.first,
    heads: heads.bytes().toString('base64'),
  };
};

const streamFromJson = ({ name, awaited, newest, first, heads, ...rest }: StreamJson): [string, AttestedStream] => {
  const stream = { ...newStream(rest.named), ...rest, awaited: headFromJson(awaited), newest: headFromJson(newest) };
  const bytes = Buffer.from(heads, 'base64');
  for (let at = 0; at < bytes.length; at += 32) stream.heads.add(first + at / 32, bytes.subarray(at, at + 32));
  return [name, stream];
};

export const encodeHost = (state: HostState): Buffer => {
  const processes = [...state.processes.values()].map((process) => ({
    name: process.name,
    container: process.container,
    binary: process.binary,
    image: process.image,
    complete: process.complete,
    begun: process.begun,
    threads: [...process.threads.kept],
    anchor: process.anchor,
    basis: process.basis,
    rebase: process.rebase,
    judged: process.judged.map(({ policy, forgot, evicted, instances }) => ({
      policy: policy.policy.digest,
      machine: policy.machine.digest,
      forgot,
      evicted,
      instances: [...instances].map(([slice, instance]) => [slice, instanceToJson(instance)]),
    })),
  }));
  const streams = state.streams.size === 0 ? {} : { streams: [...state.streams].map(streamToJson) };
  return Buffer.from(JSON.stringify({ format: FORMAT, nextId: state.nextId, processes, ...streams }));
};

/** Throws SNAPSHOT_FOREIGN if the format, a policy or a machine is not the one that made it. */
export const decodeHost = (
  host: string,
  bytes: Buffer,
  byDigest: (digest: string) => PolicyInForce | undefined,
): HostState => {
  const json = JSON.parse(bytes.toString('utf8')) as {
    format: number;
    nextId: number;
    processes: ProcessJson[];
    streams?: StreamJson[];
  };
  if (json.format !== FORMAT)
    throw new AttestreamError('SNAPSHOT_FOREIGN', `a snapshot of ${host} has format ${json.format}`);
  const state: HostState = {
    host,
    processes: new Map(),
    wakes: new Map(),
    nextId: json.nextId,
    streams: new Map((json.streams ?? []).map(streamFromJson)),
  };
  for (const plain of json.processes) {
    const process = newProcess(plain.name, plain.complete, plain.begun);
    process.container = plain.container;
    process.binary = plain.binary;
    process.image = plain.image;
    process.threads.kept = new Map(plain.threads);
    process.anchor = plain.anchor;
    process.basis = plain.basis;
    process.rebase = plain.rebase;
    process.judged = plain.judged.map(({ policy: digest, machine, forgot, evicted, instances }) => {
      const policy = byDigest(digest);
      if (policy === undefined || policy.machine.digest !== machine)
        throw new AttestreamError(
          'SNAPSHOT_FOREIGN',
          `a snapshot of ${host} was made under policy ${digest}, which is not in force`,
        );
      return {
        policy,
        forgot,
        evicted,
        instances: new Map(
          instances.map(([slice, instance]) => [slice, instanceFromJson(instance, policy, host, process, slice)]),
        ),
      };
    });
    for (const judged of process.judged)
      for (const instance of judged.instances.values()) state.wakes.set(instance.id, instance);
    state.processes.set(plain.name, process);
  }
  return state;
};
