import { randomBytes } from 'node:crypto';
import { curveOf, type HashName } from '../../../schemas/tpm/algorithms.js';
import { ATTESTATION_KEY } from '../../../schemas/tpm/attributes.js';
import { marshalPublic } from '../../../schemas/tpm/marshal-public.js';
import { objectName, qualifiedName } from '../../../schemas/tpm/name.js';
import type { TpmPublic } from '../../../schemas/tpm/public.js';
import { create, load } from '../tpm/object.js';
import type { Scope } from '../tpm/scope.js';
import { type Authorisation, password } from '../tpm/session.js';
import type { Tpm } from '../tpm/tpm.js';
import type { EndorsementKey } from './ek.js';

/** Algorithms of an attestation key. */
export type AttestationKeyKind =
  | { readonly type: 'ecc'; readonly curve: 'nistp256' | 'nistp384'; readonly hash: Exclude<HashName, 'sha1'> }
  | {
      readonly type: 'rsa';
      readonly keyBits: 2048 | 3072;
      readonly scheme: 'rsassa' | 'rsapss';
      readonly hash: Exclude<HashName, 'sha1'>;
    };

/** P-256 and SHA-256: every TPM 2.0 has them, and they are the fastest. */
export const DEFAULT_KIND: AttestationKeyKind = { type: 'ecc', curve: 'nistp256', hash: 'sha256' };

const NONE = Buffer.alloc(0);

/** TPMT_PUBLIC template of an attestation key: restricted, bound to this TPM, and without lockout. */
export const attestationKeyTemplate = (kind: AttestationKeyKind, attributes = ATTESTATION_KEY): Buffer => {
  const area = { nameAlg: 'sha256', attributes, authPolicy: NONE, symmetric: null };
  if (kind.type === 'rsa') {
    const scheme = { algorithm: kind.scheme, hash: kind.hash };
    return marshalPublic({ ...area, type: 'rsa', scheme, keyBits: kind.keyBits, exponent: 65537, unique: NONE });
  }
  const curve = curveOf(kind.curve)!.name;
  const scheme = { algorithm: 'ecdsa', hash: kind.hash };
  return marshalPublic({ ...area, type: 'ecc', scheme, curve, kdf: null, unique: { x: NONE, y: NONE } });
};

/** A loaded attestation key, ready to sign. */
export interface AttestationKey {
  readonly handle: number;
  readonly public: TpmPublic;
  readonly name: Buffer;
  readonly qualifiedName: Buffer;
  readonly authorisation: Authorisation;
}

/** Names as computed along the parent chain. */
export const attestationKey = (
  handle: number,
  area: TpmPublic,
  parentQualifiedName: Buffer,
  authorisation: Authorisation,
): AttestationKey => {
  const name = objectName(area);
  return { handle, public: area, name, qualifiedName: qualifiedName(parentQualifiedName, name), authorisation };
};

/** TPM2_Create and TPM2_Load of a new attestation key under the EK; flushed at the end of the scope. */
export const createAttestationKey = async (
  tpm: Tpm,
  scope: Scope,
  ek: EndorsementKey,
  kind: AttestationKeyKind = DEFAULT_KIND,
  auth: Buffer = NONE,
): Promise<AttestationKey> => {
  const template = attestationKeyTemplate(kind);
  const wrapped = await create(tpm, ek.handle, { template, auth, authorisation: await ek.authorise() });
  const loaded = await load(tpm, scope, ek.handle, wrapped, await ek.authorise());
  return attestationKey(loaded.handle, loaded.public, ek.qualifiedName, password(auth));
};

const AUTH_SIZE = 32;

/**
 * AIK2: the key of one boot. Its authorisation value is random and only in this process's memory, so that no other
 * user of the TPM can have it sign.
 */
export const createAik2 = (
  tpm: Tpm,
  scope: Scope,
  ek: EndorsementKey,
  kind: AttestationKeyKind = DEFAULT_KIND,
): Promise<AttestationKey> => createAttestationKey(tpm, scope, ek, kind, randomBytes(AUTH_SIZE));
