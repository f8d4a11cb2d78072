import type { Micros } from '../../schemas/records.js';
import type { Newest } from './controller.js';
import { FIRST_HEAD } from './digest.js';
import { Streams } from './streams.js';
import { Timers } from './timers.js';

/** Nothing was seen yet: every event moves such a clock. */
const NEVER = -(2 ** 51);

/** All that the engine keeps of one key beside the fold's own state. */
export class Host<State> {
  state: State | undefined;
  clock: Micros = NEVER;
  /** `at` of the newest event; ticks move the clock on from here. */
  lastAt: Micros = NEVER;
  /** `issued` of the first tick after that event; −1 if none came yet. */
  issued: Micros = -1;
  /** Earliest deadline, so that an event without due timers costs one comparison. */
  due: Micros = Number.POSITIVE_INFINITY;
  readonly timers = new Timers();
  readonly streams: Streams;
  /** Newest record of each kind and signer that spoke to this host, by the hash of both in hex. */
  readonly told = new Map<string, Newest>();
  head: Buffer = FIRST_HEAD;
  conclusions: Buffer = FIRST_HEAD;
  spoke = false;
  changed = false;

  constructor(
    readonly name: string,
    readonly key: Buffer,
    chained: boolean,
  ) {
    this.streams = new Streams(chained);
  }
}
