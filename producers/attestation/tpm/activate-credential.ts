import type { Credential } from '../../../schemas/tpm/make-credential.js';
import { sized } from '../../../schemas/tpm/writer.js';
import type { Authorisation } from './session.js';
import type { Tpm } from './tpm.js';

/**
 * TPM2_ActivateCredential: the secret, if the credential was made for this EK and for the name of `object`. Refused
 * (TPM_RC_INTEGRITY, TPM_RC_VALUE, TPM_RC_SIZE) for any other.
 */
export const activateCredential = async (
  tpm: Tpm,
  object: { readonly handle: number; readonly authorisation: Authorisation },
  ek: { readonly handle: number; readonly authorisation: Authorisation },
  credential: Credential,
): Promise<Buffer> => {
  const { parameters } = await tpm.execute({
    name: 'ActivateCredential',
    handles: [object.handle, ek.handle],
    authorisations: [object.authorisation, ek.authorisation],
    parameters: Buffer.concat([sized(credential.credentialBlob), sized(credential.encryptedSecret)]),
  });
  return Buffer.from(parameters.sized('certInfo'));
};
