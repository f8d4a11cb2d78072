import { sized, u32 } from '../../../schemas/tpm/writer.js';
import { TPM_RH } from './handle.js';
import { type Authorisation, password } from './session.js';
import type { Tpm } from './tpm.js';

/** TPM2_Clear: a new owner. All objects of the owner and endorsement hierarchies are gone, so also AIKs. */
export const clear = async (tpm: Tpm, auth: Authorisation = password()): Promise<void> => {
  await tpm.execute({ name: 'Clear', handles: [TPM_RH.LOCKOUT], authorisations: [auth] });
};

/** TPM2_DictionaryAttackLockReset: ends a lockout. Needs the lockout hierarchy's authorisation. */
export const dictionaryAttackLockReset = async (tpm: Tpm, auth: Authorisation = password()): Promise<void> => {
  await tpm.execute({ name: 'DictionaryAttackLockReset', handles: [TPM_RH.LOCKOUT], authorisations: [auth] });
};

export interface LockoutParameters {
  /** Wrong passwords until the lockout. */
  readonly maxTries: number;
  /** Seconds until one try is forgotten. */
  readonly recoverySeconds: number;
  /** Seconds until the lockout hierarchy may be tried again. */
  readonly lockoutRecoverySeconds: number;
}

/** TPM2_DictionaryAttackParameters. */
export const dictionaryAttackParameters = async (
  tpm: Tpm,
  { maxTries, recoverySeconds, lockoutRecoverySeconds }: LockoutParameters,
  auth: Authorisation = password(),
): Promise<void> => {
  await tpm.execute({
    name: 'DictionaryAttackParameters',
    handles: [TPM_RH.LOCKOUT],
    authorisations: [auth],
    parameters: Buffer.concat([u32(maxTries), u32(recoverySeconds), u32(lockoutRecoverySeconds)]),
  });
};

/** TPM2_HierarchyChangeAuth: a new authorisation value for owner, endorsement, lockout or platform. */
export const hierarchyChangeAuth = async (
  tpm: Tpm,
  hierarchy: number,
  auth: Authorisation,
  changed: Buffer,
): Promise<void> => {
  const parameters = sized(changed);
  await tpm.execute({ name: 'HierarchyChangeAuth', handles: [hierarchy], authorisations: [auth], parameters });
};
