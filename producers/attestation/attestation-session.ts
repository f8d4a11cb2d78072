import { createHash } from 'node:crypto';
import { certifyQualifyingData } from '../../schemas/evidence/qualifying-data.js';
import { parseAttest } from '../../schemas/tpm/attest.js';
import { TPM_RC } from '../../schemas/tpm/response-code.js';
import type { PcrSelection } from '../../schemas/tpm/selection.js';
import { type AttestationKey, createAik2 } from './keys/attestation-key.js';
import { loadEk, type Platform, type PlatformOptions } from './platform.js';
import { type Attestation, certify, quote } from './tpm/attestation.js';
import { isTpmRefusal } from './tpm/command.js';
import { flushContext } from './tpm/flush-context.js';
import { withScope } from './tpm/scope.js';

/** A second attestation key of this boot, and AIK1's word for it. */
export interface AttestationSession {
  readonly aik2: AttestationKey;
  readonly certified: Attestation;
  /** The challenges that AIK1 answered, sorted. */
  readonly leaves: readonly Buffer[];
  /** SHA-256 of `certified.attest` */
  readonly certifyDigest: Buffer;
  readonly resetCount: number;
  readonly restartCount: number;
}

/** Makes an AIK2 under the endorsement key and has AIK1 certify it. The key stays loaded until `endSession`. */
export const beginSession = (
  keys: PlatformOptions,
  platform: Platform & { readonly aik1: AttestationKey },
  leaves: readonly Buffer[],
): Promise<AttestationSession> =>
  withScope(keys.tpm, async (scope) => {
    const ek = await loadEk(keys, scope);
    const aik2 = await createAik2(keys.tpm, scope, ek, keys.kind);
    // Three objects fit into a TPM: what is not needed any more makes room.
    await scope.release(ek.handle);
    const qualifyingData = certifyQualifyingData(platform.host, leaves);
    const certified = await certify(keys.tpm, aik2, platform.aik1, qualifyingData);
    const { resetCount, restartCount } = parseAttest(certified.attest);
    scope.keep(aik2.handle);
    return {
      aik2,
      certified,
      leaves,
      certifyDigest: createHash('sha256').update(certified.attest).digest(),
      resetCount,
      restartCount,
    };
  });

/** Flushes AIK2. After a reset of the TPM there is nothing to flush. */
export const endSession = async ({ tpm }: PlatformOptions, { aik2 }: AttestationSession): Promise<void> => {
  await flushContext(tpm, aik2.handle).catch(() => undefined);
};

/**
 * A quote by the session's AIK2; null if the TPM was reset since, so that the key is gone or the counts are others: a new
 * session is due.
 */
export const quoteInSession = async (
  { tpm }: PlatformOptions,
  session: AttestationSession,
  qualifyingData: Buffer,
  selection: PcrSelection,
): Promise<Attestation | null> => {
  try {
    const made = await quote(tpm, session.aik2, qualifyingData, selection);
    const { resetCount, restartCount } = parseAttest(made.attest);
    return resetCount === session.resetCount && restartCount === session.restartCount ? made : null;
  } catch (error) {
    if (isTpmRefusal(error, TPM_RC.HANDLE, TPM_RC.REFERENCE_H0, TPM_RC.AUTH_FAIL, TPM_RC.BAD_AUTH)) return null;
    throw error;
  }
};
