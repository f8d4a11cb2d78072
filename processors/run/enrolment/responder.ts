import { randomBytes } from 'node:crypto';
import type { Typed } from '../../../infra/log/typed-records.js';
import { enrolCommitment, hostId } from '../../../schemas/evidence/enrolment.js';
import type { Approval, EnrolChallenge, Enrolled, EnrolRequest } from '../../../schemas/records.js';
import { isSigned, type PinnedKeys, type Unsigned } from '../../../schemas/signed.js';
import { makeCredential } from '../../../schemas/tpm/make-credential.js';
import { objectName } from '../../../schemas/tpm/name.js';
import { parsePublic, type TpmPublic } from '../../../schemas/tpm/public.js';
import { type Basis, enrolmentBasis } from './basis.js';
import type { Anchors } from './chain.js';
import { attestationKeyFault, ekDigest, endorsementKeyFault } from './endorsement-key.js';

/** What enrolment is made of, as it stands in `measurements`. */
export const ENROLMENT_RECORDS = [
  'Tick',
  'Approval',
  'Revoked',
  'EnrolRequest',
  'EnrolChallenge',
  'EnrolAnswer',
  'Enrolled',
] as const;
export type EnrolmentRecord = Typed<(typeof ENROLMENT_RECORDS)[number]>;

/** What is to be said, to which host's partition. */
export type Reply = { readonly partition: number; readonly host: string } & (
  | { readonly name: 'EnrolChallenge'; readonly record: Unsigned<'EnrolChallenge'> }
  | { readonly name: 'Enrolled'; readonly record: Unsigned<'Enrolled'> }
  | { readonly name: 'Request'; readonly record: Unsigned<'Request'> }
);

/** Kind of the request that tells a host that it is not enrolled, and why. */
export const ENROLMENT_REFUSED = 'enrol-refused';

/**
 * Requests to a host in the name of one key are numbered by its ticks (the start-up fold asks with the same key): the last
 * number of a tick's share is this responder's.
 */
const requestNumber = (tick: number): number => (Math.max(tick, 0) + 1) * 4096 - 1;

export interface ResponderOptions {
  /** 32 bytes: whose ticks, challenges and enrolments are this responder's own. */
  readonly verifierId: Buffer;
  /** Operators whose approvals and revocations are believed. */
  readonly keys: PinnedKeys;
  readonly anchors: Anchors;
  /** Ticks that a host has to answer a challenge. */
  readonly patience: number;
  /** For people: who waits for an approval, who was refused and why, who was enrolled. */
  readonly onNote: (note: string) => void;
}

/** Hosts that wait for an approval: requests cost nothing to write, so the oldest gives way. */
const MAX_WAITING = 1024;

interface Open {
  readonly request: EnrolRequest;
  readonly host: string;
  readonly partition: number;
  /** ms: what "now" is for certificates, so that a replay comes to the same end. */
  readonly receivedAt: number;
  readonly ek: TpmPublic;
  readonly nameEk: Buffer;
  readonly nameAik1: Buffer;
  readonly ekSpki: string;
}

const short = (host: string): string => host.slice(0, 16);

/**
 * The verifier's side of enrolment: weighs requests, challenges those that an operator or a root vouches for, and checks
 * answers against the commitment in its own challenge, so that it keeps no secret and can begin anew from the log.
 */
export class EnrolmentResponder {
  readonly #options: ResponderOptions;
  readonly #approvals = new Map<string, Approval>();
  readonly #revoked = new Set<string>();
  /** The newest request of each host that is not enrolled by it yet. */
  readonly #open = new Map<string, Open>();
  readonly #challenges = new Map<string, Pick<EnrolChallenge, 'requestId' | 'commitment' | 'expires'>>();
  /** Newest own tick in each partition. */
  readonly #ticks = new Map<number, number>();
  /** What hosts are still to be told. */
  #refusals: Reply[] = [];
  #challengeNumber = 0;
  #enrolledNumber = 0;

  constructor(options: ResponderOptions) {
    this.#options = options;
  }

  /** Takes a record in as something that happened; `weigh` and `answer` say what is to be done about it. */
  note(found: EnrolmentRecord): void {
    const { verifierId, keys } = this.#options;
    switch (found.name) {
      case 'Tick':
        if (found.record.verifierId.equals(verifierId)) this.#ticks.set(found.partition, found.record.number);
        break;
      case 'Approval':
        if (isSigned('Approval', found.record, keys))
          this.#approvals.set(found.record.signature.toString('hex'), found.record);
        break;
      case 'Revoked':
        if (isSigned('Revoked', found.record, keys)) this.#revoked.add(found.record.host);
        break;
      case 'EnrolRequest':
        this.#request(found.record, found.key, found.partition, found.timestamp);
        break;
      case 'EnrolChallenge':
        if (!this.#isMine(found)) break;
        this.#challengeNumber = Math.max(this.#challengeNumber, found.record.number + 1);
        if (this.#open.get(found.record.host)?.request.requestId.equals(found.record.requestId))
          this.#challenges.set(found.record.host, found.record);
        break;
      case 'Enrolled':
        if (!this.#isMine(found)) break;
        this.#enrolledNumber = Math.max(this.#enrolledNumber, found.record.number + 1);
        if (this.#open.get(found.record.host)?.request.requestId.equals(found.record.requestId))
          this.#close(found.record.host);
        break;
      case 'EnrolAnswer':
        break;
    }
  }

  #isMine(found: EnrolmentRecord & { readonly name: 'EnrolChallenge' | 'Enrolled' }): boolean {
    const { verifierId, keys } = this.#options;
    return (
      found.record.verifierId.equals(verifierId) &&
      (found.name === 'Enrolled'
        ? isSigned('Enrolled', found.record, keys)
        : isSigned('EnrolChallenge', found.record, keys))
    );
  }

  #close(host: string): void {
    this.#open.delete(host);
    this.#challenges.delete(host);
  }

  #request(request: EnrolRequest, key: string, partition: number, receivedAt: number): void {
    try {
      const ek = parsePublic(request.ekPublic);
      const aik1 = parsePublic(request.aik1Public);
      const nameEk = objectName(ek);
      const host = hostId(nameEk);
      const fault =
        endorsementKeyFault(ek) ??
        attestationKeyFault(aik1) ??
        (host === key ? null : 'its records are not named after its endorsement key');
      if (fault === null) {
        const nameAik1 = objectName(aik1);
        this.#close(host);
        if (this.#open.size >= MAX_WAITING) this.#close(this.#open.keys().next().value!);
        this.#open.set(host, { request, host, partition, receivedAt, ek, nameEk, nameAik1, ekSpki: ekDigest(ek) });
      } else this.#refuse(key, partition, fault);
    } catch (error) {
      this.#refuse(key, partition, (error as Error).message);
    }
  }

  #refuse(host: string, partition: number, why: string): null {
    this.#close(host);
    this.#options.onNote(`host ${short(host)} is refused: ${why}`);
    const record: Unsigned<'Request'> = {
      number: requestNumber(this.#ticks.get(partition) ?? -1),
      host,
      kind: ENROLMENT_REFUSED,
      list: '',
      container: '',
      from: 0,
      reason: why,
      issued: Date.now() * 1000,
    };
    // One a tick: a second would have the same number.
    this.#refusals = this.#refusals.filter((reply) => reply.host !== host);
    if (this.#refusals.length < MAX_WAITING) this.#refusals.push({ name: 'Request', partition, host, record });
    return null;
  }

  /** What refused hosts are to be told since the last call. */
  refusals(): readonly Reply[] {
    const told = this.#refusals;
    this.#refusals = [];
    return told;
  }

  /** Challenges for all requests that may be challenged now and were not yet. */
  async weigh(): Promise<readonly Reply[]> {
    const replies: Reply[] = [];
    for (const open of [...this.#open.values()]) {
      if (this.#challenges.has(open.host)) continue;
      const basis = await this.#basis(open);
      if (basis === null) continue;
      replies.push(this.#challenge(open));
    }
    return replies;
  }

  #challenge({ request, host, partition, ek, nameEk, nameAik1 }: Open): Reply {
    const secret = randomBytes(32);
    const { credentialBlob, encryptedSecret } = makeCredential(ek, nameAik1, secret);
    const record: Unsigned<'EnrolChallenge'> = {
      number: this.#challengeNumber++,
      host,
      requestId: request.requestId,
      nameEk,
      nameAik1,
      credentialBlob,
      encryptedSecret,
      commitment: enrolCommitment(request.requestId, nameEk, nameAik1, secret),
      expires: (this.#ticks.get(partition) ?? -1) + this.#options.patience,
      issued: Date.now() * 1000,
    };
    // Known before the log shows it: what stands in another partition must not lead to a second one.
    this.#challenges.set(host, record);
    return { name: 'EnrolChallenge', partition, host, record };
  }

  /** The enrolment that an answer earns; null where it earns none. */
  async answer(found: EnrolmentRecord & { readonly name: 'EnrolAnswer' }): Promise<Reply | null> {
    const { record, partition, key: host } = found;
    const open = this.#open.get(host);
    const challenge = this.#challenges.get(host);
    if (open === undefined || challenge === undefined || !challenge.requestId.equals(record.requestId)) return null;
    if ((this.#ticks.get(partition) ?? -1) > challenge.expires)
      return this.#refuse(host, partition, 'it answered too late');
    const { request, nameEk, nameAik1 } = open;
    if (!enrolCommitment(request.requestId, nameEk, nameAik1, record.secret).equals(challenge.commitment))
      return this.#refuse(host, partition, 'its answer is wrong: the keys are not in one TPM');
    const basis = await this.#basis(open);
    if (basis === null) return this.#refuse(host, partition, 'its approval is gone');
    this.#close(host);
    this.#options.onNote(`host ${short(host)} is enrolled as ${JSON.stringify(basis.label)}`);
    const enrolled: Omit<Enrolled, 'verifierId' | 'signature'> = {
      number: this.#enrolledNumber++,
      host,
      requestId: request.requestId,
      ekPublic: request.ekPublic,
      aik1Public: request.aik1Public,
      nameAik1,
      issued: Date.now() * 1000,
      ...basis,
    };
    return { name: 'Enrolled', partition, host, record: enrolled };
  }

  /** What an enrolment may rest on; null if on nothing yet. Says once why. */
  async #basis(open: Open): Promise<Basis | null> {
    const { host, partition } = open;
    if (this.#revoked.has(host)) return this.#refuse(host, partition, 'it was revoked');
    const found = await enrolmentBasis(open, [...this.#approvals.values()], this.#options.anchors);
    if ('basis' in found) return found;
    this.#waits(open, found.missing);
    return null;
  }

  readonly #told = new Set<string>();

  #waits({ host, request, ekSpki }: Open, why: string): void {
    const id = request.requestId.toString('hex');
    if (this.#told.has(id)) return;
    if (this.#told.size >= MAX_WAITING) this.#told.clear();
    this.#told.add(id);
    this.#options.onNote(
      `host ${short(host)} (${JSON.stringify(request.label)}) waits for an approval of its endorsement key ${ekSpki}${why}`,
    );
  }
}
