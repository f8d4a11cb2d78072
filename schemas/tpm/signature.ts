import { constants, verify } from 'node:crypto';
import { algorithmId, algorithmName, curveOf, type HashName, isHashName, TPM_ALG } from './algorithms.js';
import type { TpmPublic } from './public.js';
import { publicKeyObject } from './public-key.js';
import { TpmReader } from './reader.js';
import { leftPad, sized, u16 } from './writer.js';

interface RsaSignature {
  readonly algorithm: 'rsassa' | 'rsapss';
  readonly hash: string;
  readonly value: Buffer;
}

interface EcdsaSignature {
  readonly algorithm: 'ecdsa';
  readonly hash: string;
  readonly r: Buffer;
  readonly s: Buffer;
}

/** TPMT_SIGNATURE (TPM 2.0 Library, part 2, 11.3.4) of the schemes that are verified here. */
export type TpmSignature = RsaSignature | EcdsaSignature;

const MAX_RSA = 512;
const MAX_COORDINATE = 80;

/** Throws TPM_BLOB_INVALID: other schemes, lengths that lie, bytes behind the signature. */
export const parseSignature = (bytes: Buffer): TpmSignature => {
  const reader = new TpmReader(bytes, 'TPMT_SIGNATURE');
  const id = reader.u16('scheme');
  const algorithm = algorithmName(id);
  if (algorithm !== 'rsassa' && algorithm !== 'rsapss' && algorithm !== 'ecdsa')
    throw reader.invalid(`scheme ${algorithm} is none of rsassa, rsapss, ecdsa`, 0);
  const hash = algorithmName(reader.u16('hash'));
  const signature: TpmSignature =
    algorithm === 'ecdsa'
      ? { algorithm, hash, r: reader.sized('r', MAX_COORDINATE), s: reader.sized('s', MAX_COORDINATE) }
      : { algorithm, hash, value: reader.sized('signature', MAX_RSA) };
  reader.end();
  return signature;
};

/** TPMT_SIGNATURE. */
export const marshalSignature = (signature: TpmSignature): Buffer =>
  Buffer.concat([
    u16(TPM_ALG[signature.algorithm]),
    u16(algorithmId(signature.hash) ?? TPM_ALG.null),
    ...(signature.algorithm === 'ecdsa' ? [sized(signature.r), sized(signature.s)] : [sized(signature.value)]),
  ]);

/** Hashes that a signature may be over unless a policy says otherwise. Collisions of SHA-1 can be made. */
export const SIGNATURE_HASHES: readonly HashName[] = ['sha256', 'sha384', 'sha512'];

/**
 * Whether this signature can be one by this key: its kind of key, its own scheme and hash if it has them (restricted
 * keys do), an allowed hash, and the sizes. Says nothing about its being right.
 */
export const signatureFits = (
  area: TpmPublic,
  signature: TpmSignature,
  hashes: readonly string[] = SIGNATURE_HASHES,
): boolean => {
  if (!hashes.includes(signature.hash)) return false;
  const { scheme } = area;
  if (scheme !== null && (scheme.algorithm !== signature.algorithm || scheme.hash !== signature.hash)) return false;
  if (area.type === 'rsa')
    return signature.algorithm !== 'ecdsa' && signature.value.length === area.unique.length && area.unique.length > 0;
  if (area.type !== 'ecc' || signature.algorithm !== 'ecdsa') return false;
  const size = curveOf(area.curve)?.size ?? 0;
  return [signature.r, signature.s].every(({ length }) => length > 0 && length <= size);
};

/**
 * Whether `signature` over `message` (which is hashed here) was made with the private part of this key. False also
 * for a signature of another kind of key; throws TPM_BLOB_INVALID if the public area holds no usable key.
 */
export const verifySignature = (area: TpmPublic, message: Buffer, signature: TpmSignature): boolean => {
  const { hash } = signature;
  if (!isHashName(hash) || !signatureFits(area, signature, [hash])) return false;
  const key = publicKeyObject(area);
  if (signature.algorithm === 'ecdsa') {
    const size = area.type === 'ecc' ? (curveOf(area.curve)?.size ?? 0) : 0;
    const value = Buffer.concat([leftPad(signature.r, size), leftPad(signature.s, size)]);
    return verify(hash, message, { key, dsaEncoding: 'ieee-p1363' }, value);
  }
  const padding = signature.algorithm === 'rsapss' ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
  // TPMs take the longest salt or one as long as the hash, by version: both are right.
  const saltLength = constants.RSA_PSS_SALTLEN_AUTO;
  return verify(hash, message, { key, padding, saltLength }, signature.value);
};
