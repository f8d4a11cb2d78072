import type { Evidence, Micros, Rest } from '../../schemas/records.js';
import type { TpmPublic } from '../../schemas/tpm/public.js';
import type { HeadWindow } from '../engine/head-window.js';
import type { Findings } from './appraisal/findings.js';
import type { Failure } from './checks/check.js';
import type { Answered } from './checks/epoch.js';
import type { BootLists } from './lists/boot-lists.js';

/** unknown → enrolled → attested ⇄ stale; untrusted; revoked (startup.md §5). */
export type Phase = 'unknown' | 'enrolled' | 'attested' | 'stale' | 'untrusted' | 'revoked';

/** An enrolment on its way. Bytes in hex. */
export interface PendingEnrolment {
  readonly requestId: string;
  readonly ekPublic: string;
  readonly aik1Public: string;
  readonly nameEk: string;
  readonly nameAik1: string;
  challenge: { readonly verifier: string; readonly commitment: string; readonly expires: number } | null;
  answered: boolean;
}

/** By which keys a host is known. Bytes in hex. */
export interface Enrolment {
  readonly ekPublic: string;
  readonly aik1Public: string;
  readonly nameEk: string;
  readonly nameAik1: string;
  readonly label: string;
  readonly basis: string;
  readonly anchors: readonly string[];
  readonly notChecked: readonly string[];
}

/** What AIK1 vouched for, accepted once: later evidence of the session need not carry it. Bytes in hex. */
export interface Session {
  readonly aik2Public: string;
  readonly aik2Name: string;
  readonly certifyDigest: string;
  readonly resetCount: number;
  readonly restartCount: number;
  readonly reused: boolean;
  /** Epoch of the newest certification, by verifier. */
  readonly certified: number;
}

/** Where the platform's counters stood in the last accepted evidence, and what led to it. */
export interface Attestation {
  readonly resetCount: number;
  readonly restartCount: number;
  readonly clock: bigint;
  readonly boot: string;
  readonly verifier: string;
  readonly epoch: number;
  readonly issued: Micros;
  /** Newest tick of that verifier before the evidence. */
  readonly newest: number;
  readonly rest: Rest;
}

/** Evidence that was accepted as far as it goes, and waits for list entries that it counts. */
export interface Waiting {
  readonly evidence: Evidence;
  readonly stream: string;
  readonly boot: string;
  readonly answered: Answered;
  readonly rest: Rest;
  /** Ticks that went by since. */
  ticks: number;
  /** All entries before these are there. */
  readonly from: { kernel: number; binding: number };
}

export interface StreamState {
  readonly boot: string;
  /** Newest heads of the stream's chain. */
  readonly heads: HeadWindow;
  /** Records of it are missing, so that its chain says nothing any more. */
  broken: boolean;
}

/** All that the start-up fold knows of one host. */
export interface HostState {
  readonly host: string;
  phase: Phase;
  readonly pending: Map<string, PendingEnrolment>;
  enrolment: Enrolment | null;
  revoked: { readonly reason: string; readonly issued: Micros } | null;
  readonly streams: Map<string, StreamState>;
  readonly boots: Map<string, BootLists>;
  session: Session | null;
  /** AIK2 names of former boots with their reset counts, newest last. */
  readonly formerKeys: { readonly name: string; readonly resetCount: number }[];
  attestation: Attestation | null;
  /** Digests of the newest accepted cores, newest last: a second one after the same core is another history. */
  readonly cores: string[];
  waiting: Waiting | null;
  /** Why the host is untrusted. */
  failure: (Failure & { readonly rest: Rest }) | null;
  /** It stays untrusted whatever comes: until it is enrolled again, or until a boot with a higher reset count. */
  latch: { readonly until: 'enrolment' } | { readonly until: 'boot'; readonly resetCount: number } | null;
  /** Findings of the last accepted evidence, and what was not checked in it. */
  findings: Findings;
  notChecked: readonly string[];
  /** Policy under which they were found. */
  policy: string;
  /** What the last verdict said, so that only a change is said again. */
  said: string;
  /** Requests said during the newest tick: their numbers must differ. */
  asked: { tick: number; count: number };
  /** Public areas by their bytes in hex, parsed once; not part of a snapshot. */
  readonly keys: Map<string, TpmPublic>;
}

export const initialState = (host: string): HostState => ({
  host,
  phase: 'unknown',
  pending: new Map(),
  enrolment: null,
  revoked: null,
  streams: new Map(),
  boots: new Map(),
  session: null,
  formerKeys: [],
  attestation: null,
  cores: [],
  waiting: null,
  failure: null,
  latch: null,
  findings: new Map(),
  notChecked: [],
  policy: '',
  said: '',
  asked: { tick: -1, count: 0 },
  keys: new Map(),
});
