import { createHash } from 'node:crypto';
import { curveOf } from '../../../schemas/tpm/algorithms.js';
import { attestationKeyFaults, ENDORSEMENT_KEY_HIGH, ENDORSEMENT_KEY_LOW } from '../../../schemas/tpm/attributes.js';
import type { TpmPublic } from '../../../schemas/tpm/public.js';
import { publicKeyObject } from '../../../schemas/tpm/public-key.js';
import { SIGNATURE_HASHES } from '../../../schemas/tpm/signature.js';
import { type Certificate, certificateKey } from './certificate.js';

const TPM_CC_POLICY_SECRET = Buffer.from('00000151', 'hex');
const TPM_RH_ENDORSEMENT = Buffer.from('4000000b', 'hex');

/** PolicySecret of the endorsement hierarchy: whoever knows its authorization may use the key (TPM 2.0 Library, part 3, 23.4). */
const policySecret = (hash: string): string => {
  const extend = (old: Buffer, ...more: Buffer[]): Buffer => {
    const digest = createHash(hash).update(old);
    for (const part of more) digest.update(part);
    return digest.digest();
  };
  const zeros = Buffer.alloc(createHash(hash).digest().length);
  return extend(extend(zeros, TPM_CC_POLICY_SECRET, TPM_RH_ENDORSEMENT)).toString('hex');
};

/** PolicyB of the EK Credential Profile (2.5, B.6.4): PolicySecret, or what an NV index names. By nameAlg. */
const POLICY_B: Readonly<Record<string, string>> = {
  sha256: 'ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0',
  sha384: 'b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12',
  sha512:
    'b8221ca69e8550a4914de3faa6a18c072cc01208073a928d5d66d59ef79e49a429c41a6b269571d57edb25fbdb1838425608b413cd616a5f6db5b6071af99bea',
};

/** Why this is no endorsement key of a template that is known; null if it is one. */
export const endorsementKeyFault = (ek: TpmPublic): string | null => {
  const { attributes, nameAlg, authPolicy, type } = ek;
  if (type !== 'rsa' && type !== 'ecc') return `a ${type} object is no endorsement key`;
  const policy = authPolicy.toString('hex');
  const low = attributes === ENDORSEMENT_KEY_LOW && nameAlg === 'sha256' && policy === policySecret('sha256');
  const high =
    attributes === ENDORSEMENT_KEY_HIGH && SIGNATURE_HASHES.includes(nameAlg as never) && policy === POLICY_B[nameAlg];
  if (!low && !high)
    return `attributes 0x${attributes.toString(16)}, ${nameAlg} and its policy are those of no known template of endorsement keys`;
  if (ek.scheme !== null) return 'an endorsement key has no scheme of its own';
  if (ek.symmetric === null || ek.symmetric.algorithm !== 'aes' || ek.symmetric.mode !== 'cfb')
    return 'an endorsement key protects with AES-CFB';
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
