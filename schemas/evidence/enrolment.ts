import { createHash } from 'node:crypto';
import { taggedHash } from '../tagged-hash.js';

/** A host with a TPM is named by its endorsement key: lower-case hex of SHA-256 over the key's Name. */
export const hostId = (nameEk: Uint8Array): string => createHash('sha256').update(nameEk).digest('hex');

/** T(attestream/enrol/1, requestId, nameEK, nameAIK1, secret): what a challenge says of its secret before anybody knows it. */
export const enrolCommitment = (
  requestId: Uint8Array,
  nameEk: Uint8Array,
  nameAik1: Uint8Array,
  secret: Uint8Array,
): Buffer => taggedHash('attestream/enrol/1', requestId, nameEk, nameAik1, secret);
