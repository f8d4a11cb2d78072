import type { Checkpoint, Verdict } from '../../schemas/records.js';
import { taggedHash, u64be } from '../../schemas/tagged-hash.js';
import type { World } from '../engine/fold.js';
import { HeadWindow } from '../engine/head-window.js';
import { FOLD } from './verdict.js';

/** Heads that are kept of a stream: a quote names one that lies a little back. */
const HEADS = 1024;
/** Before the first checkpoint: there may never be one, and what is kept is in every snapshot. */
const FIRST_HEADS = 128;
/** Streams of one host that are followed: each restart of an agent opens a new one. */
const STREAMS = 16;
/** Ticks that records may be on their way which a checkpoint says were sent. */
const PATIENCE = 3;

export type StreamWord = 'conforming' | 'violated' | 'undecided';

/** What a host's TPM attested of a stream: all records up to `seq` have this head. */
export interface AttestedHead {
  readonly seq: number;
  readonly head: Buffer;
}

/** A stream of a host as its checkpoints speak of it. Records behind the last of them are unattested, no more. */
export interface AttestedStream {
  readonly heads: HeadWindow;
  /** Up to here its records were found to be those that the host sent; −1: none yet. */
  checked: number;
  /** Attested, and not there yet: what will be compared next, and the newest. */
  awaited: AttestedHead | null;
  newest: AttestedHead | null;
  /** Ticks since `awaited` was. */
  ticks: number;
  /** A checkpoint spoke of it. */
  named: boolean;
  /** What was said of it last. */
  said: StreamWord | '';
  /** Nothing can be found out any more: it was altered, or records are missing. */
  ended: boolean;
}

export type AttestedStreams = Map<string, AttestedStream>;

export const newStream = (named = false): AttestedStream => ({
  heads: new HeadWindow(named ? HEADS : FIRST_HEADS),
  checked: -1,
  awaited: null,
  newest: null,
  ticks: 0,
  named,
  said: '',
  ended: false,
});

const streamOf = (streams: AttestedStreams, name: string): AttestedStream => {
  let known = streams.get(name);
  if (known === undefined) {
    known = newStream();
    streams.set(name, known);
    for (const oldest of streams.keys()) {
      if (streams.size <= STREAMS) break;
      streams.delete(oldest);
    }
  }
  return known;
};

const SEVERITY: Readonly<Record<StreamWord, string>> = { conforming: 'info', violated: 'alert', undecided: 'warning' };

interface StreamDraft {
  readonly state: StreamWord;
  readonly code: 'stream.attested' | 'stream.altered' | 'stream.gap' | 'stream.behind';
  readonly message: string;
  readonly until: number;
}

/** A verdict of kind `stream`; its slice is the stream's name. */
const streamVerdict = (host: string, name: string, from: number, draft: StreamDraft, world: World): Verdict => ({
  id: taggedHash(
    'attestream/verdict/1',
    FOLD.name,
    u64be(FOLD.version),
    '',
    `${host}||`,
    name,
    'stream',
    world.tick === null ? `${world.stream}:${world.seq}` : `tick:${world.tick}:-1`,
    u64be(0),
  ),
  replaces: null,
  fold: `${FOLD.name}@${FOLD.version}`,
  kind: 'stream',
  state: draft.state,
  severity: SEVERITY[draft.state],
  host,
  container: '',
  process: '',
  slice: name,
  policy: '',
  machine: '',
  at: Math.max(0, world.now),
  message: draft.message,
  trigger: { stream: world.stream, seq: world.seq, tick: world.tick, timer: null, ordinal: 0 },
  rests: world.tick === null ? [{ stream: world.stream, seq: world.seq, ...world.coordinates }] : [],
  assumes: [],
  bindings: { code: JSON.stringify(draft.code), topic: JSON.stringify(world.coordinates.topic) },
  believed: [],
  probability: null,
  numbers: { from, until: draft.until },
});

/** Follows a stream from its first record on, if its producer is one that attests what it sent. */
export const follow = (streams: AttestedStreams, kind: string, world: World): void => {
  if (kind !== 'agent') return;
  const head = world.follow();
  if (head !== null) streamOf(streams, world.stream).heads.add(world.seq, head);
};

/** Takes in the head of a record, and compares it if it was waited for. */
export const noteHead = (streams: AttestedStreams, host: string, head: Buffer, world: World): void => {
  const known = streams.get(world.stream);
  if (known === undefined || known.ended) return;
  known.heads.add(world.seq, head);
  if (known.awaited !== null && known.awaited.seq <= world.seq) settle(known, host, world.stream, world.seq, world);
};

/** Takes in what a host's TPM attested of one of its streams. */
export const takeCheckpoint = (
  streams: AttestedStreams,
  host: string,
  { topic, stream, seq, head }: Checkpoint,
  world: World,
): void => {
  if (topic !== world.coordinates.topic) return;
  const name = stream.toString('hex');
  const known = streamOf(streams, name);
  if (known.ended || seq <= known.checked) return;
  known.named = true;
  known.heads.widen(HEADS);
  const attested = { seq, head: Buffer.from(head) };
  if (known.awaited === null) {
    known.awaited = attested;
    known.ticks = 0;
  } else if (seq > known.awaited.seq) known.newest = attested;
  settle(known, host, name, world.reached(stream), world);
};

/** Says so of a stream whose attested records are long in coming. */
export const waitForStreams = (streams: AttestedStreams, host: string, world: World): void => {
  for (const [name, known] of streams) {
    if (known.awaited === null || known.ended) continue;
    known.ticks++;
    if (known.ticks < PATIENCE) continue;
    const { seq } = known.newest ?? known.awaited;
    const message = `records up to ${seq} were sent, as its TPM attested, and have not come`;
    say(known, host, name, { state: 'undecided', code: 'stream.behind', message, until: seq }, world);
  }
};

/** Compares what is attested with what came, as far as the stream has come. */
const settle = (known: AttestedStream, host: string, name: string, reached: number, world: World): void => {
  while (known.awaited !== null && known.awaited.seq <= reached) {
    const { seq, head } = known.awaited;
    known.awaited = known.newest;
    known.newest = null;
    known.ticks = 0;
    compare(known, host, name, seq, head, world);
    if (known.ended) return;
  }
};

const compare = (known: AttestedStream, host: string, name: string, seq: number, head: Buffer, world: World): void => {
  const { heads } = known;
  const seen = heads.get(seq);
  if (seen === undefined) {
    // One that lies too far back says nothing; the next one says it too.
    if (heads.reaches(seq)) return;
    const message = `records up to ${seq} are missing in part, so that nobody can tell whether the others are as they were sent`;
    say(known, host, name, { state: 'undecided', code: 'stream.gap', message, until: seq }, world);
    end(known);
    return;
  }
  if (!seen.equals(head)) {
    const message = `among records ${known.checked + 1} to ${seq} of a stream are some that are not those that the host sent`;
    say(known, host, name, { state: 'violated', code: 'stream.altered', message, until: seq }, world);
    end(known);
    return;
  }
  const message = `records up to ${seq} are those that the host sent, as its TPM attested`;
  say(known, host, name, { state: 'conforming', code: 'stream.attested', message, until: seq }, world);
  known.checked = seq;
  heads.dropBefore(seq);
};

const end = (known: AttestedStream): void => {
  known.ended = true;
  known.awaited = null;
  known.newest = null;
  known.heads.clear();
};

/** Only what is not what was said last. */
const say = (known: AttestedStream, host: string, name: string, draft: StreamDraft, world: World): void => {
  if (known.said === draft.state) return;
  known.said = draft.state;
  world.emit(streamVerdict(host, name, known.checked + 1, draft, world));
};
