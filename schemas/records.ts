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
  /** Of the system call, a0 to a5: those that the policy releases. */
  readonly arguments?: readonly Parameter[];
  /** Calls that returned not long ago: a hint, never a fact. */
  readonly residue?: readonly Frame[];
}

export interface Look extends Identity {
  readonly at: Micros;
  readonly notBefore: Micros;
  readonly process: string;
  readonly threads: readonly ThreadLook[];
  readonly micros: number;
  readonly bytesRead: number;
  /** predicted | blind; empty: not said */
  readonly planned?: string;
  /** The instant that the look was planned for. */
  readonly due?: Micros | null;
  readonly stopped?: boolean;
  readonly globals?: readonly Parameter[];
}

/** After `seen` has started, when `function` may be on the stack. Offsets in µs from that start. */
export interface PredictionRow {
  readonly seen: string;
  readonly function: string;
  readonly offset: Micros;
  readonly from: Micros;
  readonly to: Micros;
  /** 0: not known */
  readonly visible: Micros;
  /** Parts per million. */
  readonly probability: number;
  /** Parts per million. */
  readonly weight: number;
}

export interface Prediction {
  /** 32 bytes. */
  readonly id: Buffer;
  readonly host: string;
  readonly container: string;
  readonly process: string;
  readonly policy: string;
  readonly slice: string;
  readonly at: Micros;
  readonly validUntil: Micros;
  readonly anchor: { readonly function: string; readonly notBefore: Micros; readonly at: Micros } | null;
  readonly rows: readonly PredictionRow[];
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

/** What every signed record carries; `number` counts the signer's records of this type. */
export interface Signed {
  /** SHA-256 of the signer's SPKI. */
  readonly verifierId: Buffer;
  readonly number: number;
  readonly issued: Micros;
  /** Ed25519 over T(attestream/NAME/1, body with an empty signature). */
  readonly signature: Buffer;
}

export interface Approval extends Signed {
  readonly label: string;
  /** SHA-256 of the endorsement key's SPKI; empty: any key under the root set. */
  readonly ekSpki: Buffer;
  /** sha256:HEX over the roots; empty: a pin. */
  readonly rootSet: string;
}

export interface Revoked extends Signed {
  readonly host: string;
  readonly reason: string;
}

export interface EnrolChallenge extends Signed {
  readonly host: string;
  /** 16 bytes. */
  readonly requestId: Buffer;
  readonly nameEk: Buffer;
  readonly nameAik1: Buffer;
  readonly credentialBlob: Buffer;
  readonly encryptedSecret: Buffer;
  /** 32 bytes. */
  readonly commitment: Buffer;
  /** Number of the signer's tick after which an answer no longer counts. */
  readonly expires: number;
}

export interface Enrolled extends Signed {
  readonly host: string;
  readonly requestId: Buffer;
  readonly label: string;
  /** TPMT_PUBLIC */
  readonly ekPublic: Buffer;
  /** TPMT_PUBLIC */
  readonly aik1Public: Buffer;
  readonly nameAik1: Buffer;
  /** approved | roots */
  readonly basis: string;
  readonly anchors: readonly string[];
  readonly notChecked: readonly string[];
}

export interface Request extends Signed {
  readonly host: string;
  /** list-from | certify | firmware-log | re-enrol */
  readonly kind: string;
  /** kernel | binding; empty for other kinds */
  readonly list: string;
  readonly container: string;
  readonly from: number;
  readonly reason: string;
}

export interface Checkpoint extends Signed {
  readonly host: string;
  readonly topic: string;
  /** 32 bytes. */
  readonly stream: Buffer;
  readonly seq: number;
  /** 32 bytes. */
  readonly head: Buffer;
}

export interface Receipt extends Signed {
  readonly topic: string;
  readonly partition: number;
  readonly first: number;
  readonly last: number;
  /** SHA-256 over the values in order, each as u32be length and bytes; a tombstone as length 0xffffffff. */
  readonly digest: Buffer;
  /** Newest tick number in the partition; −1: none. */
  readonly tick: number;
  /** By the signer's clock. */
  readonly receivedAt: Micros;
}

export interface ListEntry extends Identity {
  readonly at: Micros;
  /** kernel | binding | container */
  readonly list: string;
  readonly container: string;
  /** From 0 within its list and boot. */
  readonly index: number;
  readonly pcr: number;
  readonly template: string;
  /** All zeros: a violation. */
  readonly templateDigest: Buffer;
  readonly data: Buffer;
}

export interface FirmwareLog extends Identity {
  readonly at: Micros;
  readonly index: number;
  readonly of: number;
  readonly data: Buffer;
  /** /proc/cmdline as the host says it, with the last part. */
  readonly commandLine?: string;
}

export interface EnrolRequest extends Identity {
  readonly at: Micros;
  /** 16 bytes. */
  readonly requestId: Buffer;
  readonly label: string;
  /** DER, the key's own first. */
  readonly ekCertificates: readonly Buffer[];
  readonly ekTemplate: string;
  /** TPMT_PUBLIC */
  readonly ekPublic: Buffer;
  /** TPMT_PUBLIC */
  readonly aik1Public: Buffer;
  readonly agentVersion: string;
}

export interface EnrolAnswer extends Identity {
  readonly at: Micros;
  readonly requestId: Buffer;
  readonly secret: Buffer;
}

/** What a quote signs beside the registers. Not a record of a topic: `Evidence.core` holds its bytes. */
export interface EvidenceCore {
  readonly host: string;
  /** 32 bytes, drawn at agent start. */
  readonly bootNonce: Buffer;
  /** Challenge leaves of 32 bytes, sorted. */
  readonly leaves: readonly Buffer[];
  /** SHA-256 of the session's certify.attest. */
  readonly certifyDigest: Buffer;
  readonly headsDigest: Buffer;
  readonly vpcrDigest: Buffer;
  /** Records of the kernel's and of the binding list before the quote. */
  readonly nI0: number;
  readonly nB0: number;
  /** SHA-256 of the core before this one in the session; zeros: none. */
  readonly prevEvidence: Buffer;
  readonly assignment: string;
}

export interface ChainHead {
  readonly topic: string;
  /** 32 bytes. */
  readonly stream: Buffer;
  readonly seq: number;
  /** 32 bytes. */
  readonly head: Buffer;
}

export interface VpcrRow {
  readonly container: string;
  readonly formula: string;
  readonly value: Buffer;
}

export interface Evidence extends Identity {
  readonly at: Micros;
  /** Avro body of EvidenceCore, hashed as sent. */
  readonly core: Buffer;
  readonly heads: readonly ChainHead[];
  readonly vpcrTable: readonly VpcrRow[];
  /** TPMT_PUBLIC */
  readonly aik2Public: Buffer;
  /** null: the session's certify was sent before. */
  readonly certify: {
    readonly attest: Buffer;
    readonly signature: Buffer;
    readonly leaves: readonly Buffer[];
  } | null;
  readonly quote: { readonly attest: Buffer; readonly signature: Buffer };
  readonly pcrHints: readonly { readonly hash: string; readonly pcr: number; readonly value: Buffer }[];
  /** Records of the kernel's and of the binding list after the quote. */
  readonly nI1: number;
  readonly nB1: number;
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
  readonly seen: readonly { readonly stream: Buffer; readonly seq: number; readonly head: Buffer }[];
  /** Newest signed record of each kind and signer that spoke to this host. */
  readonly told: readonly { readonly by: Buffer; readonly number: number; readonly signature: Buffer }[];
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
  Prediction: Prediction;
  Gap: Gap;
  Tick: Tick;
  Assignment: Assignment;
  Approval: Approval;
  Revoked: Revoked;
  EnrolChallenge: EnrolChallenge;
  Enrolled: Enrolled;
  Request: Request;
  Checkpoint: Checkpoint;
  Receipt: Receipt;
  ListEntry: ListEntry;
  FirmwareLog: FirmwareLog;
  EnrolRequest: EnrolRequest;
  EnrolAnswer: EnrolAnswer;
  EvidenceCore: EvidenceCore;
  Evidence: Evidence;
  Policy: PolicyRecord;
  Verdict: Verdict;
  DeadLetter: DeadLetter;
  Snapshot: SnapshotRecord;
  Marker: MarkerRecord;
}

export type RecordName = keyof Records;
