import { coreDigest, encodeCore, headsDigest, NO_EVIDENCE, vpcrDigest } from '../../schemas/evidence/core.js';
import { quoteQualifyingData } from '../../schemas/evidence/qualifying-data.js';
import type { ChainHead, VpcrRow } from '../../schemas/records.js';
import type { PcrValue } from '../../schemas/tpm/pcr-digest.js';
import { type PcrSelection, selectionFromText } from '../../schemas/tpm/selection.js';
import type { Measurements } from '../measurement/measurements.js';
import type { EventStream } from '../stream/event-stream.js';
import { type AttestationSession, beginSession, endSession, quoteInSession } from './attestation-session.js';
import type { Challenge } from './challenges.js';
import type { AttestationKey } from './keys/attestation-key.js';
import type { Platform, PlatformOptions } from './platform.js';
import { registersAtQuote } from './registers-at-quote.js';
import { pcrRead } from './tpm/pcr.js';
import type { Tpm } from './tpm/tpm.js';

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
    const { platform, events, measurements, bindings, bootNonce, keys, now } = this.#options;
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
    const before = await readRegisters(keys.tpm, selection);
    const quoted = await quoteInSession(keys, session, quoteQualifyingData(platform.host, core), selection);
    if (quoted === null) {
      // Nothing is left to flush.
      this.#session = null;
      return false;
    }
    const nI1 = await measurements.catchUp();
    const nB1 = bindings.count();
    // The last record before the count may have reached the list and not yet the register.
    const window = nI1 === nI0 ? measurements.newest.slice(-1) : measurements.newest.slice(-(nI1 - nI0) - 1);
    const hints = registersAtQuote({ quoted, selection, before, window }) ?? before;
    const { attest, signature } = session.certified;
    events.put('Evidence', {
      at: now(),
      core,
      heads,
      vpcrTable,
      aik2Public: session.aik2.public.bytes,
      certify: this.#sent ? null : { attest, signature, leaves: session.leaves },
      quote: { attest: quoted.attest, signature: quoted.signature },
      pcrHints: hints,
      nI1,
      nB1,
    });
    await events.flush();
    this.#sent = true;
    this.#previous = coreDigest(core);
    return true;
  }
}

/** The register of the kernel's list. */
const IMA_PCR = 10;

/** The selected registers; those of the kernel's list by one command, so that its banks are of one instant. */
const readRegisters = async (tpm: Tpm, selection: PcrSelection): Promise<readonly PcrValue[]> => {
  const part = (wanted: (pcr: number) => boolean): PcrSelection =>
    selection.map(({ hash, pcrs }) => ({ hash, pcrs: pcrs.filter(wanted) })).filter(({ pcrs }) => pcrs.length > 0);
  const moving = part((pcr) => pcr === IMA_PCR);
  const still = part((pcr) => pcr !== IMA_PCR);
  return [
    ...(still.length === 0 ? [] : (await pcrRead(tpm, still)).values),
    ...(moving.length === 0 ? [] : (await pcrRead(tpm, moving)).values),
  ];
};
