/** The records of `schemas/events/*.avsc` as the code sees them. Times are integer microseconds, digests are Buffers. */

export type Micros = number;

/** Position of a record in its producer's own sequence: the identity of an event wherever it is copied to. */
export interface Identity {
  /** 32 bytes. */
  readonly stream: Buffer;
  readonly seq: number;
}

export interface StreamOpened extends Identity {
  readonly at: Micros;
  readonly kind: string;
  readonly boot: string;
  readonly offset: number;
  readonly agent: string;
  readonly previous: readonly { readonly topic: string; readonly seq: number; readonly head: Buffer }[];
}

export interface ProcessEvent extends Identity {
  readonly at: Micros;
  readonly notBefore: Micros;
  /** PID:STARTTIME */
  readonly process: string;
  readonly container: string;
  /** found | exec | fork | gone; others are carried through */
  readonly kind: string;
  readonly beginning: boolean;
  readonly binary: string;
  readonly image: string;
  readonly parent: string;
  readonly exitCode: number | null;
}

export type ValueType = 'unknown' | 'int' | 'uint' | 'double' | 'bool' | 'string' | 'enum' | 'hash';
export type ValueKind = 'unavailable' | 'entry' | 'current';

export interface Parameter {
  readonly name: string;
  readonly type: ValueType;
  readonly kind: ValueKind;
  /** int, uint, enum, bool (0 or 1), within 2^52 */
  readonly int: number | null;
  readonly real: number | null;
  /** string; enum name; hash in hex; an integer beyond 2^52 in decimal; why unavailable */
  readonly text: string | null;
}

export interface Activation extends Identity {
  readonly at: Micros;
  readonly notBefore: Micros;
  readonly end: Micros | null;
  readonly process: string;
  readonly thread: number;
  readonly function: string;
  readonly beginning: boolean;
  readonly parameters: readonly Parameter[];
}

export interface Frame {
  readonly function: string;
  readonly alternatives: readonly string[];
  /** syscall | cfi | prologue | call-site | frame-record | scan | residue */
  readonly foundBy: string;
  readonly address: number;
  readonly returnAddress: number;
  readonly parameters: readonly Parameter[];
}

export interface ThreadLook {
  readonly tid: number;
  readonly name: string;
  readonly at: Micros;
  /** sampled | running | torn | gone */
  readonly outcome: string;
  /** schedstat: nanoseconds on a CPU since the thread began */
  readonly runTime: number;
  /** schedstat: timeslices; -1 if the kernel does not count */
  readonly slices: number;
  readonly complete: boolean;
  readonly asBefore: boolean;
  readonly syscall: number | null;
  /** Innermost first. */
  readonly frames: readonly Frame[];
}

export interface Look extends Identity {
  readonly at: Micros;
  readonly notBefore: Micros;
  readonly process: string;
  readonly threads: readonly ThreadLook[];
  readonly micros: number;
  readonly bytesRead: number;
}

export interface Gap extends Identity {
  readonly at: Micros;
  readonly notBefore: Micros;
  readonly process: string;
  readonly reason: string;
  readonly lost: number;
}

export interface Tick {
  readonly verifierId: Buffer;
  readonly number: number;
  readonly nonce: Buffer;
  readonly issued: Micros;
  readonly interval: number;
  readonly grace: number;
  readonly k: number;
  readonly selection: string;
  readonly signature: Buffer;
}

export interface Assignment {
  readonly verifierId: Buffer;
  readonly number: number;
  readonly id: string;
  readonly selector: string;
  readonly policy: string;
  readonly version: number;
  readonly rebase: boolean;
  readonly issued: Micros;
  readonly signature: Buffer;
}

export interface PolicyRecord {
  readonly digest: string;
  readonly document: string;
}

export interface Trigger {
  /** hex */
  readonly stream: string;
  readonly seq: number;
  readonly tick: number | null;
  readonly timer: number | null;
  readonly ordinal: number;
}

export interface Rest {
  /** hex */
  readonly stream: string;
  readonly seq: number;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

export interface Verdict {
  readonly id: Buffer;
  readonly replaces: Buffer | null;
  readonly fold: string;
  readonly kind: string;
  readonly state: string;
  readonly severity: string;
  readonly host: string;
  readonly container: string;
  readonly process: string;
  readonly slice: string;
  readonly policy: string;
  readonly machine: string;
  readonly at: Micros;
  readonly message: string;
  readonly trigger: Trigger;
  readonly rests: readonly Rest[];
  readonly assumes: readonly string[];
  /** Each value as JSON. */
  readonly bindings: Readonly<Record<string, string>>;
  readonly believed: readonly string[];
  /** Parts per million. */
  readonly probability: number | null;
  readonly numbers: Readonly<Record<string, number>>;
}

export interface DeadLetter {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly end: number;
  readonly code: string;
  readonly message: string;
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly schema: string | null;
}

export interface SnapshotRecord {
  readonly fold: string;
  readonly clock: Micros;
  readonly lastAt: Micros;
  readonly issued: Micros;
  readonly state: Buffer | null;
  readonly timers: readonly { readonly at: Micros; readonly id: number; readonly registered: number }[];
  readonly seen: readonly { readonly stream: Buffer; readonly seq: number }[];
  readonly digest: Buffer;
  readonly conclusions: Buffer;
}

export interface MarkerRecord {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  readonly generation: number;
  readonly next: number;
  readonly outputs: Readonly<Record<string, number>>;
}

/** Record name → its shape: what `encodeRecord` takes and `decode` gives. */
export interface Records {
  StreamOpened: StreamOpened;
  ProcessEvent: ProcessEvent;
  Activation: Activation;
  Look: Look;
  Gap: Gap;
  Tick: Tick;
  Assignment: Assignment;
  Policy: PolicyRecord;
  Verdict: Verdict;
  DeadLetter: DeadLetter;
  Snapshot: SnapshotRecord;
  Marker: MarkerRecord;
}

export type RecordName = keyof Records;
