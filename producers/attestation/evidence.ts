import { coreDigest, encodeCore, headsDigest, NO_EVIDENCE, vpcrDigest } from '../../schemas/evidence/core.js';
import { quoteQualifyingData } from '../../schemas/evidence/qualifying-data.js';
import type { ChainHead, VpcrRow } from '../../schemas/records.js';
import { isHashName } from '../../schemas/tpm/algorithms.js';
import { parseAttest } from '../../schemas/tpm/attest.js';
import { type PcrValue, pcrDigest } from '../../schemas/tpm/pcr-digest.js';
import { type PcrSelection, selectionFromText } from '../../schemas/tpm/selection.js';
import { parseSignature } from '../../schemas/tpm/signature.js';
import type { Measurements } from '../measurement/measurements.js';
import type { EventStream } from '../stream/event-stream.js';
import { type AttestationSession, beginSession, endSession, quoteInSession } from './attestation-session.js';
import type { Challenge } from './challenges.js';
import type { AttestationKey } from './keys/attestation-key.js';
import type { Platform, PlatformOptions } from './platform.js';
import type { Attestation } from './tpm/attestation.js';
import { pcrRead } from './tpm/pcr.js';

/** Containers' registers and the binding list that a quote of PCR 12 covers; a host without containers has neither. */
export interface Bindings {
  /** Records of the binding list. */
  count(): number;
  table(): readonly VpcrRow[];
}

export const NO_BINDINGS: Bindings = { count: () => 0, table: () => [] };

export interface EvidenceOptions {
  readonly keys: PlatformOptions;
  readonly platform: Platform & { readonly aik1: AttestationKey };
  readonly events: EventStream;
  readonly measurements: Measurements;
  readonly bindings: Bindings;
  /** Heads of the host's other streams. */
  readonly heads: () => readonly ChainHead[];
  /** 32 bytes, drawn at the agent's start. */
  readonly bootNonce: Buffer;
  /** Registers that are quoted where a verifier does not say. */
  readonly selection: PcrSelection;
  /** Event time, µs. */
  readonly now: () => number;
}

/** A session serves a day. */
const SESSION_MICROS = 86_400_000_000;

/** Produces evidence: one quote for all verifiers that ask for the same registers (startup.md §4, 12 to 17). */
export class EvidenceProducer {
  readonly #options: EvidenceOptions;
  #session: { readonly held: AttestationSession; readonly since: number; readonly verifiers: Set<string> } | null =
    null;
  #sent = false;
  #previous = NO_EVIDENCE;

  constructor(options: EvidenceOptions) {
    this.#options = options;
  }

  /** The next evidence begins a new session: a verifier asked for it. */
  async renew(): Promise<void> {
    if (this.#session !== null) await endSession(this.#options.keys, this.#session.held);
    this.#session = null;
  }

  /**
   * Answers a challenge; the evidence is in the log when this resolves. `newest` are the newest challenges of all verifiers,
   * which a new session answers at once, so that each of them can tell that its key is fresh.
   */
  async answer(challenge: Challenge, newest: Pick<Challenge, 'leaves' | 'verifiers'>): Promise<void> {
    const selection = challenge.selection === '' ? this.#options.selection : selectionFromText(challenge.selection);
    // A TPM that was reset between is met with a new session, once: a second time it is a fault.
    const attempt = (): Promise<boolean> => this.#attempt(challenge, newest, selection);
    if (!(await attempt()) && !(await attempt()))
      throw new Error('the TPM loses its keys while it is used: is another program resetting it?');
  }

  async #ensureSession(
    { verifiers }: Challenge,
    newest: Pick<Challenge, 'leaves' | 'verifiers'>,
  ): Promise<AttestationSession> {
    const { now } = this.#options;
    const open = this.#session;
    if (
      open !== null &&
      now() - open.since < SESSION_MICROS &&
      verifiers.every((verifier) => open.verifiers.has(verifier))
    )
      return open.held;
    await this.renew();
    const held = await beginSession(this.#options.keys, this.#options.platform, newest.leaves);
    this.#session = { held, since: now(), verifiers: new Set(newest.verifiers) };
    this.#sent = false;
    this.#previous = NO_EVIDENCE;
    return held;
  }

  async #attempt(
    challenge: Challenge,
    newest: Pick<Challenge, 'leaves' | 'verifiers'>,
    selection: PcrSelection,
  ): Promise<boolean> {
    const { platform, events, measurements, bindings, bootNonce, now } = this.#options;
    const session = await this.#ensureSession(challenge, newest);
    measurements.firmware();
    const nI0 = await measurements.catchUp();
    const nB0 = bindings.count();
    const heads = [...(events.head === null ? [] : [events.head]), ...this.#options.heads()];
    const vpcrTable = bindings.table();
    const core = encodeCore({
      host: platform.host,
      bootNonce,
      leaves: challenge.leaves,
      certifyDigest: session.certifyDigest,
      headsDigest: headsDigest(heads),
      vpcrDigest: vpcrDigest(vpcrTable),
      nI0,
      nB0,
      prevEvidence: this.#previous,
      assignment: '',
    });
    const quoted = await this.#quote(session, quoteQualifyingData(platform.host, core), selection);
    if (quoted === null) {
      // Nothing is left to flush.
      this.#session = null;
      return false;
    }
    const nI1 = await measurements.catchUp();
    const nB1 = bindings.count();
    const { attest, signature } = session.certified;
    events.put('Evidence', {
      at: now(),
      core,
      heads,
      vpcrTable,
      aik2Public: session.aik2.public.bytes,
      certify: this.#sent ? null : { attest, signature, leaves: session.leaves },
      quote: { attest: quoted.made.attest, signature: quoted.made.signature },
      pcrHints: quoted.hints,
      nI1,
      nB1,
    });
    await events.flush();
    this.#sent = true;
    this.#previous = coreDigest(core);
    return true;
  }

  /** The quote, and register values that explain it if they stood still long enough. */
  async #quote(
    session: AttestationSession,
    qualifyingData: Buffer,
    selection: PcrSelection,
  ): Promise<{ readonly made: Attestation; readonly hints: readonly PcrValue[] } | null> {
    const { keys } = this.#options;
    const before = await pcrRead(keys.tpm, selection);
    const made = await quoteInSession(keys, session, qualifyingData, selection);
    if (made === null) return null;
    if (explains(made, selection, before.values)) return { made, hints: before.values };
    return { made, hints: (await pcrRead(keys.tpm, selection)).values };
  }
}

const explains = (made: Attestation, selection: PcrSelection, values: readonly PcrValue[]): boolean => {
  const { hash } = parseSignature(made.signature);
  if (!isHashName(hash)) return false;
  const digest = pcrDigest(selection, values, hash);
  return digest !== null && parseAttest(made.attest).quote?.pcrDigest.equals(digest) === true;
};
