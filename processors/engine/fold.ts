import type { ErrorCode } from '../../schemas/errors.js';
import type { Micros, RecordName, Records, Tick, Verdict } from '../../schemas/records.js';
import type { SignedName, Unsigned } from '../../schemas/signed.js';
import type { TopicName } from '../../schemas/topics.js';

/** Dense number of a key within one owned partition. */
export type Slot = number;

/** Signed records that stand in every partition. */
export type WideRecordName = 'Tick' | 'Assignment' | 'Approval' | 'Revoked';

/** Signed records that speak to one host, in its own partition. */
export type HostRecordName = 'EnrolChallenge' | 'Enrolled' | 'Request' | 'Checkpoint';

/** A signed record with its name, checked: a pinned key signed it and its number increases. */
export type Said<N extends SignedName> = { readonly [K in N]: { readonly name: K; readonly record: Records[K] } }[N];

/** A record that a fold wants to be said in its processor's name, and the topic for it. A fold holds no key. */
export type ToSay = {
  readonly [K in 'Request' | 'Checkpoint']: {
    readonly name: K;
    readonly topic: TopicName;
    readonly record: Unsigned<K>;
  };
}['Request' | 'Checkpoint'];

/** What every event of a fold carries besides its record's fields. */
export interface Coordinates {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/** One object per engine, reused for every call. */
export interface World {
  /** The host's clock: newest event time seen, moved on by ticks. */
  readonly now: Micros;
  /** The event lies before the host's clock. How far is too far is the policy's to say. */
  readonly late: boolean;
  /** Where the record that is being handled stands: the event itself, or the event or tick that let a timer fire. */
  readonly coordinates: Coordinates;
  /** Stream (hex) and seq of that record; empty and −1 for a tick. For a controller's record: hash of its signer and name, and its number. */
  readonly stream: string;
  readonly seq: number;
  /** Number of the tick that is being handled, null for an event. */
  readonly tick: number | null;
  /** Records of the event's stream that never came, before this one. 0 as a rule. */
  readonly missing: number;
  /** Head of the event's chain (event-chain.ts) with the event in it, to be copied by who keeps it; null: not followed, or records are missing before it. */
  readonly head: Buffer | null;
  /**
   * At a stream's first record: its chain is followed from here on, which costs a hash per record. The head with that record in it;
   * null at a later one, and where no key is pinned, so that nobody could say what the head should be.
   */
  follow(): Buffer | null;
  /** Highest seq of a stream (32 bytes) of the host; −1: none came. */
  reached(stream: Buffer): number;
  emit(verdict: Verdict, supersedes?: Verdict): void;
  /** Leaves with the same commit as the verdicts, signed by whoever runs the fold; a replay has no key and says nothing. */
  say(wish: ToSay): void;
  /** Wakes this key at `at`; the same id again replaces the timer. */
  wake(at: Micros, id: number): void;
  sleep(id: number): void;
  /** Sets the record that is being handled aside as a dead letter. */
  refuse(code: ErrorCode, reason: string): void;
}

/**
 * Pure meaning. May change its own `state`, must not keep `event` (its objects are reused); no clock, I/O or randomness.
 * `Types` are the record types that it wants; others in its topic are passed over.
 */
export interface Fold<Types extends RecordName, State> {
  readonly name: string;
  readonly version: number;
  readonly topic: string;
  /** Decode only these fields of these types. */
  readonly fields: { readonly [T in Types]: readonly (keyof Records[T])[] };
  /** Follow the chain of each stream for `world.head`: a hash per record. Otherwise of those that `world.follow` is called for. */
  readonly chained?: boolean;
  /** The only place where a key is a string. */
  initial(host: string): State;
  step(state: State, type: Types, event: Records[Types], world: World): State;
  /** A timer set by `wake` is due. `world.now` is its deadline. */
  timer(state: State, id: number, world: World): State;
  /** A tick passed; timers due by it have fired already. */
  tick?(state: State, tick: Tick, world: World): State;
  /** What a controller says to the whole partition. Called once per record, before any later event; again after a restart. */
  broadcast?(said: Said<WideRecordName>): void;
  /** What a controller says to this host: for a revocation only if the host is known here. */
  told?(state: State, said: Said<HostRecordName | 'Revoked'>, world: World): State;
  encode(state: State): Buffer;
  /** Throws SNAPSHOT_FOREIGN on another version or another machine. */
  decode(host: string, bytes: Buffer): State;
}
