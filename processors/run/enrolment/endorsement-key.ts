import { createHash } from 'node:crypto';
import { curveOf } from '../../../schemas/tpm/algorithms.js';
import { attestationKeyFaults } from '../../../schemas/tpm/attributes.js';
import { ekTemplateOf } from '../../../schemas/tpm/ek-template.js';
import type { TpmPublic } from '../../../schemas/tpm/public.js';
import { publicKeyObject } from '../../../schemas/tpm/public-key.js';
import { SIGNATURE_HASHES } from '../../../schemas/tpm/signature.js';
import { type Certificate, certificateKey } from './certificate.js';

/** Why this is no endorsement key of a template that is known; null if it is one. */
export const endorsementKeyFault = (ek: TpmPublic): string | null => {
  if (ekTemplateOf(ek) === null)
    return 'its endorsement key is of no known template: other attributes or another policy could let it be used for more';
  return keyFault(ek);
};

const keyFault = (area: TpmPublic): string | null => {
  try {
    publicKeyObject(area);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
};

const SIGNING_SCHEMES: readonly string[] = ['rsassa', 'rsapss', 'ecdsa'];

/** Why this key cannot stand for a host; null if it can. */
export const attestationKeyFault = (aik: TpmPublic): string | null => {
  const faults = attestationKeyFaults(aik.attributes);
  if (faults.length > 0) return `the attestation key is ${faults.join(', ')}`;
  if (aik.type !== 'rsa' && aik.type !== 'ecc') return `a ${aik.type} object is no attestation key`;
  const { scheme } = aik;
  if (scheme === null || !SIGNING_SCHEMES.includes(scheme.algorithm))
    return `an attestation key signs with ${SIGNING_SCHEMES.join(', ')}, not ${scheme?.algorithm ?? 'whatever is asked'}`;
  if (!SIGNATURE_HASHES.includes(scheme.hash as never))
    return `an attestation key signs over SHA-2, not ${scheme.hash}`;
  if (aik.type === 'ecc' && curveOf(aik.curve) === null) return `curve ${aik.curve} is not taken`;
  return keyFault(aik);
};

/** SHA-256 of the key's SPKI, in hex: what an operator approves. Throws TPM_BLOB_INVALID. */
export const ekDigest = (ek: TpmPublic): string =>
  createHash('sha256')
    .update(publicKeyObject(ek).export({ type: 'spki', format: 'der' }))
    .digest('hex');

/** Whether the certificate is for exactly this key. Throws CERTIFICATE_INVALID, TPM_BLOB_INVALID. */
export const certifies = (certificate: Certificate, ek: TpmPublic): boolean =>
  certificateKey(certificate).equals(publicKeyObject(ek));
