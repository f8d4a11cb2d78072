import { createHash } from 'node:crypto';
import { enrolCommitment, hostId } from '../../schemas/evidence/enrolment.js';
import type { Approval, EnrolAnswer, EnrolChallenge, Enrolled, EnrolRequest } from '../../schemas/records.js';
import { objectName } from '../../schemas/tpm/name.js';
import { parsePublic } from '../../schemas/tpm/public.js';
import { publicKeyObject } from '../../schemas/tpm/public-key.js';
import { attestationKeyCheck } from './checks/attestation-key.js';
import { runChecks } from './checks/check.js';
import type { HostState } from './host-state.js';

/** Requests of one host that may be on their way at once. */
const PENDING = 8;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Why a record of an enrolment is not taken; null: it was. */
export type Refused = string | null;

/** Step 3: the keys are named, nothing is believed. Throws TPM_BLOB_INVALID for what is no key. */
export const takeRequest = (state: HostState, request: EnrolRequest): Refused => {
  const ek = parsePublic(Buffer.from(request.ekPublic));
  const aik1 = parsePublic(Buffer.from(request.aik1Public));
  const nameEk = objectName(ek);
  if (hostId(nameEk) !== state.host) return 'its endorsement key is that of another host';
  const requestId = hex(request.requestId);
  state.pending.delete(requestId);
  state.pending.set(requestId, {
    requestId,
    ekPublic: hex(ek.bytes),
    aik1Public: hex(aik1.bytes),
    nameEk: hex(nameEk),
    nameAik1: hex(objectName(aik1)),
    challenge: null,
    answered: false,
  });
  for (const oldest of state.pending.keys()) {
    if (state.pending.size <= PENDING) break;
    state.pending.delete(oldest);
  }
  return null;
};

/** Step 5: the signer commits itself to a secret that it gave to these two keys only. */
export const takeChallenge = (state: HostState, challenge: EnrolChallenge): Refused => {
  const pending = state.pending.get(hex(challenge.requestId));
  if (pending === undefined) return 'it answers no request of this host';
  if (hex(challenge.nameEk) !== pending.nameEk || hex(challenge.nameAik1) !== pending.nameAik1)
    return 'it was made for other keys than those that asked';
  pending.challenge = {
    verifier: hex(challenge.verifierId),
    commitment: hex(challenge.commitment),
    expires: challenge.expires,
  };
  pending.answered = false;
  return null;
};

/** Step 7 and 9: the secret is the one that was committed to, so the TPM with both keys released it. */
export const takeAnswer = (
  state: HostState,
  answer: EnrolAnswer,
  newestTick: (verifier: string) => number,
): Refused => {
  const pending = state.pending.get(hex(answer.requestId));
  if (pending?.challenge == null) return 'it answers no challenge';
  const { challenge, nameEk, nameAik1, requestId } = pending;
  const of = (text: string): Buffer => Buffer.from(text, 'hex');
  const commitment = enrolCommitment(of(requestId), of(nameEk), of(nameAik1), answer.secret);
  if (hex(commitment) !== challenge.commitment) return 'the secret is not the one that was committed to';
  if (newestTick(challenge.verifier) > challenge.expires) return 'the challenge had expired';
  pending.answered = true;
  return null;
};

/** SHA-256 over a key's SPKI, as an operator approves it. */
const spkiDigest = (ekPublic: string): string =>
  hex(
    createHash('sha256')
      .update(publicKeyObject(parsePublic(Buffer.from(ekPublic, 'hex'))).export({ type: 'spki', format: 'der' }))
      .digest(),
  );

/** The verifier's word that a host is known, believed only where the partition shows that its TPM answered. */
export const takeEnrolled = (state: HostState, enrolled: Enrolled, approvals: readonly Approval[]): Refused => {
  const pending = state.pending.get(hex(enrolled.requestId));
  if (pending === undefined || !pending.answered || pending.challenge?.verifier !== hex(enrolled.verifierId))
    return 'no answer to a challenge of this verifier stands before it';
  if (hex(enrolled.aik1Public) !== pending.aik1Public || hex(enrolled.nameAik1) !== pending.nameAik1)
    return 'it names another attestation key than the one that was challenged';
  if (state.revoked !== null && enrolled.issued <= state.revoked.issued)
    return 'it is older than the revocation of the host';
  const { failure } = runChecks([
    attestationKeyCheck('aik1.attributes', parsePublic(Buffer.from(enrolled.aik1Public))),
  ]);
  if (failure !== null) return failure.message;
  if (enrolled.basis === 'approved') {
    const spki = spkiDigest(pending.ekPublic);
    if (!approvals.some(({ ekSpki, label }) => hex(ekSpki) === spki && label === enrolled.label))
      return `no operator approved "${enrolled.label}" with this endorsement key`;
  }
  const { ekPublic, aik1Public, nameEk, nameAik1 } = pending;
  const { label, basis, anchors, notChecked } = enrolled;
  state.enrolment = { ekPublic, aik1Public, nameEk, nameAik1, label, basis, anchors, notChecked };
  state.pending.clear();
  return null;
};
