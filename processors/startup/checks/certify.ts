import { TPM_ST_ATTEST_CERTIFY } from '../../../schemas/tpm/attest.js';
import { objectName, qualifiedName } from '../../../schemas/tpm/name.js';
import type { TpmPublic } from '../../../schemas/tpm/public.js';
import { attestationKeyCheck } from './attestation-key.js';
import type { Attested } from './attested.js';
import type { Check } from './check.js';

export interface CertifyInput {
  readonly certify: Attested;
  readonly aik1: TpmPublic;
  readonly aik2: TpmPublic;
  /** null: not known, not checked. */
  readonly qualifyingData: Buffer | null;
  /** Qualified name of the key that both are children of; null: not known, so that no qualified name is checked. */
  readonly parent: Buffer | null;
}

/** AIK1's word for AIK2 (TPM2_Certify): platform identity vouches for the key that speaks of the platform's state. */
export const certifyChecks = ({ certify, aik1, aik2, qualifyingData, parent }: CertifyInput): readonly Check[] => [
  ['certify.signature', () => certify.signedBy(aik1, 'AIK1')],
  ['certify.malformed', () => certify.readable()],
  ['certify.magic', () => certify.generated()],
  ['certify.type', () => certify.ofType(TPM_ST_ATTEST_CERTIFY, 'certification')],
  ...(qualifyingData === null ? [] : [['certify.nonce', () => certify.answers(qualifyingData)] as const]),
  ...(parent === null
    ? []
    : [['certify.signer', () => certify.signer(qualifiedName(parent, objectName(aik1)), 'AIK1')] as const]),
  [
    'certify.name',
    () =>
      certify.attest.certify?.name.equals(objectName(aik2)) === true ? null : 'it certifies another key than AIK2',
  ],
  ...(parent === null
    ? []
    : [
        [
          'certify.qn',
          () =>
            certify.attest.certify?.qualifiedName.equals(qualifiedName(parent, objectName(aik2))) === true
              ? null
              : 'the certified key is not a child of the enrolled endorsement key',
        ] as const,
      ]),
  ['certify.trailing', () => certify.ends()],
  attestationKeyCheck('aik1.attributes', aik1),
  attestationKeyCheck('aik2.attributes', aik2),
];
