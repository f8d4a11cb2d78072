import { randomBytes } from 'node:crypto';
import { TPM_ALG } from '../../../schemas/tpm/algorithms.js';
import { sized, u8, u16, u32 } from '../../../schemas/tpm/writer.js';
import { TPM_RH } from './handle.js';
import type { Scope } from './scope.js';
import type { Tpm } from './tpm.js';

/** One entry of a command's authorisation area. */
export interface Authorisation {
  readonly handle: number;
  readonly nonce: Buffer;
  readonly attributes: number;
  readonly hmac: Buffer;
}

const NONE = Buffer.alloc(0);
const CONTINUE_SESSION = 1;
const TPM_SE_POLICY = 1;
const NONCE_SIZE = 32;

/** The authorisation value itself. It crosses the way to the TPM in clear: /dev/tpmrm0 is on the same machine. */
export const password = (auth: Buffer = NONE): Authorisation => ({
  handle: TPM_RH.PASSWORD,
  nonce: NONE,
  attributes: CONTINUE_SESSION,
  hmac: auth,
});

/** A policy session that has been satisfied. Neither salted nor bound, so that there is no key for an HMAC. */
export const policy = (session: number): Authorisation => ({
  handle: session,
  nonce: NONE,
  attributes: CONTINUE_SESSION,
  hmac: NONE,
});

/** TPM2_StartAuthSession: a policy session, flushed at the end of the scope. */
export const startPolicySession = async (tpm: Tpm, scope: Scope, hash: 'sha256' | 'sha384' | 'sha512' = 'sha256') => {
  const { handle } = await tpm.execute({
    name: 'StartAuthSession',
    handles: [TPM_RH.NULL, TPM_RH.NULL],
    parameters: Buffer.concat([
      sized(randomBytes(NONCE_SIZE)),
      sized(),
      u8(TPM_SE_POLICY),
      u16(TPM_ALG.null),
      u16(TPM_ALG[hash]),
    ]),
    givesHandle: true,
  });
  return scope.own(handle);
};

/** TPM2_PolicySecret: proves to the session that its holder knows the entity's authorisation value. */
export const policySecret = async (tpm: Tpm, session: number, entity: number, auth: Authorisation): Promise<void> => {
  await tpm.execute({
    name: 'PolicySecret',
    handles: [entity, session],
    authorisations: [auth],
    // No nonce of the TPM, no command parameter hash, no reference, no expiration.
    parameters: Buffer.concat([sized(), sized(), sized(), u32(0)]),
  });
};
