import { TPM_ALG } from '../../../schemas/tpm/algorithms.js';
import { marshalSelection, type PcrSelection } from '../../../schemas/tpm/selection.js';
import { sized, u16 } from '../../../schemas/tpm/writer.js';
import type { TpmAnswer } from './command.js';
import type { Authorisation } from './session.js';
import type { Tpm } from './tpm.js';

/** What a key attested: TPMS_ATTEST and the TPMT_SIGNATURE over it. */
export interface Attestation {
  readonly attest: Buffer;
  readonly signature: Buffer;
}

/** The answer to TPM2_Certify and TPM2_Quote. */
export const readAttestation = ({ parameters }: TpmAnswer): Attestation => ({
  attest: Buffer.from(parameters.sized('attest')),
  signature: Buffer.from(parameters.take(parameters.left, 'signature')),
});

/** The key's own scheme. */
const OWN_SCHEME = u16(TPM_ALG.null);

/** TPM2_Certify: `signer` says that `object` is loaded in its TPM, and what it is called. */
export const certify = async (
  tpm: Tpm,
  object: { readonly handle: number; readonly authorisation: Authorisation },
  signer: { readonly handle: number; readonly authorisation: Authorisation },
  qualifyingData: Buffer,
): Promise<Attestation> =>
  readAttestation(
    await tpm.execute({
      name: 'Certify',
      handles: [object.handle, signer.handle],
      authorisations: [object.authorisation, signer.authorisation],
      parameters: Buffer.concat([sized(qualifyingData), OWN_SCHEME]),
    }),
  );

/** TPM2_Quote: `signer` says what the selected registers hold. */
export const quote = async (
  tpm: Tpm,
  signer: { readonly handle: number; readonly authorisation: Authorisation },
  qualifyingData: Buffer,
  selection: PcrSelection,
): Promise<Attestation> =>
  readAttestation(
    await tpm.execute({
      name: 'Quote',
      handles: [signer.handle],
      authorisations: [signer.authorisation],
      parameters: Buffer.concat([sized(qualifyingData), OWN_SCHEME, marshalSelection(selection)]),
    }),
  );
