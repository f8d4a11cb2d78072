import type { ChainHead } from '../../schemas/records.js';
import { HeadWindow } from '../engine/head-window.js';
import type { Failure } from './checks/check.js';
import type { HostState, StreamState } from './host-state.js';

/** Heads that are kept of a stream, so that a quote can name one that lies a little back. */
const HEADS = 512;
const STREAMS = 16;

/** No heads of a stream yet. */
export const noHeads = (): HeadWindow => new HeadWindow(HEADS);

/** The stream of an event, known from its first one on. */
export const streamOf = (state: HostState, stream: string): StreamState => {
  let known = state.streams.get(stream);
  if (known === undefined) {
    known = { boot: '', heads: noHeads(), broken: false };
    state.streams.set(stream, known);
    for (const oldest of state.streams.keys()) {
      if (state.streams.size <= STREAMS) break;
      state.streams.delete(oldest);
    }
  }
  return known;
};

/** `StreamOpened`: the stream speaks of this boot. */
export const openStream = (state: HostState, stream: string, boot: string): void => {
  const { heads, broken } = streamOf(state, stream);
  state.streams.set(stream, { boot, heads, broken });
};

/** Copies the head of a stream's chain; null: records are missing. */
export const noteHead = (known: StreamState, seq: number, head: Buffer | null): void => {
  if (head === null) known.broken = true;
  else known.heads.add(seq, head);
};

export interface ComparedHeads {
  readonly failure: Failure | null;
  /** No head of this topic could be compared. */
  readonly unchecked: boolean;
  /** A stream that the heads name lacks records. */
  readonly broken: boolean;
}

/** Holds the signed heads of `topic` against the chains that were seen: another head means that somebody altered the stream. */
export const compareHeads = (state: HostState, topic: string, heads: readonly ChainHead[]): ComparedHeads => {
  let unchecked = true;
  let broken = false;
  for (const { topic: of, stream, seq, head } of heads) {
    const known = of === topic ? state.streams.get(stream.toString('hex')) : undefined;
    if (known === undefined) continue;
    if (known.broken) {
      broken = true;
      continue;
    }
    const seen = known.heads.get(seq);
    if (seen === undefined) continue;
    unchecked = false;
    if (!seen.equals(head))
      return {
        failure: {
          code: 'stream.altered',
          message: `records up to ${seq} of a stream are not those that the host sent`,
        },
        unchecked,
        broken,
      };
    known.heads.dropBefore(seq);
  }
  return { failure: null, unchecked, broken };
};
