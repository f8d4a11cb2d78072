import { constants, createHash, publicDecrypt } from 'node:crypto';
import { verifyEcdsaDigest } from './elliptic-curve.js';
import type { FileDigest, ImaRecord } from './entry.js';
import { evmPortableMessages } from './evm-portable.js';
import { kernelHashBytes, kernelHashId } from './hash-algorithm.js';
import { type ImaSignature, parseImaSignature, signatureTypeNumber } from './signature-header.js';
import type { SigningKey } from './signing-key.js';

export type SignatureCheck =
  | { readonly result: 'valid'; readonly key: SigningKey; readonly signature: ImaSignature }
  | { readonly result: 'unsigned' }
  /** No key of that id was given. */
  | { readonly result: 'unknown-key'; readonly keyId: string }
  | { readonly result: 'bad'; readonly reason: string }
  /** Over what the record does not hold. Never to be taken for valid. */
  | { readonly result: 'unchecked'; readonly reason: string };

/** DigestInfo of PKCS #1 before the digest (RFC 8017, 9.2), by the kernel's name of the hash. */
const DIGEST_INFO: Readonly<Record<string, string>> = {
  md5: '3020300c06082a864886f70d020505000410',
  sha1: '3021300906052b0e03021a05000414',
  sha224: '302d300d06096086480165030402040500041c',
  sha256: '3031300d060960864801650304020105000420',
  sha384: '3041300d060960864801650304020205000430',
  sha512: '3051300d060960864801650304020305000440',
  'sha3-256': '3031300d060960864801650304020805000420',
  'sha3-384': '3041300d060960864801650304020905000430',
  'sha3-512': '3051300d060960864801650304020a05000440',
};

/** PKCS #1 v1.5: the whole recovered block must be the digest with its name, so that nothing can hide beside it. */
const verifyRsaDigest = (key: SigningKey, algorithm: string, digest: Buffer, signature: Buffer): boolean => {
  const info = DIGEST_INFO[algorithm];
  if (info === undefined) return false;
  try {
    const block = publicDecrypt({ key: key.key, padding: constants.RSA_PKCS1_PADDING }, signature);
    return block.equals(Buffer.concat([Buffer.from(info, 'hex'), digest]));
  } catch {
    return false;
  }
};

const verifyDigest = (key: SigningKey, algorithm: string, digest: Buffer, signature: Buffer): boolean =>
  key.kind === 'rsa'
    ? verifyRsaDigest(key, algorithm, digest, signature)
    : verifyEcdsaDigest(key.curve!, key.point!, digest, signature);

/** Hashes that both the kernel and Node have under the same name. */
const hashOf = (algorithm: string, message: Buffer): Buffer | null =>
  DIGEST_INFO[algorithm] === undefined ? null : createHash(algorithm).update(message).digest();

/**
 * Digests that a signature may be over, for what a record says; a text if the record does not hold it. Version 3 signs
 * H(type ‖ algorithm ‖ digest), so that a digest of one kind is never one of another.
 */
const signedDigests = (
  signature: ImaSignature,
  fileDigest: FileDigest | null,
  record: ImaRecord,
): readonly Buffer[] | string => {
  const { type, version, hashAlgorithm } = signature;
  if (type === 'evm-portable') {
    const messages = evmPortableMessages(record);
    if (messages === null) return 'a portable EVM signature is over metadata that this template does not hold';
    return messages.flatMap((message) => hashOf(hashAlgorithm, message) ?? []);
  }
  if (fileDigest === null) return 'the record has no digest of a file';
  // A file is measured with its signature's hash: any other digest is not what was signed.
  if (fileDigest.algorithm !== hashAlgorithm || fileDigest.digest.length !== kernelHashBytes(hashAlgorithm)) return [];
  if ((type === 'verity') !== (fileDigest.kind === 'verity')) return [];
  if (version === 2) return [fileDigest.digest];
  const id = Buffer.from([signatureTypeNumber(type), kernelHashId(hashAlgorithm)]);
  const digest = hashOf(hashAlgorithm, Buffer.concat([id, fileDigest.digest]));
  return digest === null ? [] : [digest];
};

/**
 * Checks the signature of a record against keys. Lengths, types and key ids in it are the attacker's: what does not fit exactly
 * is bad, whatever the path.
 */
export const checkSignature = (
  record: ImaRecord & { readonly fileDigest: FileDigest | null; readonly signature: Buffer | null },
  keys: readonly SigningKey[],
): SignatureCheck => {
  if (record.signature === null) return { result: 'unsigned' };
  const signature = parseImaSignature(record.signature);
  if (typeof signature === 'string') return { result: 'bad', reason: `a signature ${signature}` };
  const digests = signedDigests(signature, record.fileDigest, record);
  if (typeof digests === 'string') return { result: 'unchecked', reason: digests };
  if (digests.length === 0)
    return {
      result: 'bad',
      reason: `a signature with ${signature.hashAlgorithm} over another digest than the record's`,
    };
  const named = keys.filter(({ ids }) => ids.includes(signature.keyId));
  if (named.length === 0) return { result: 'unknown-key', keyId: signature.keyId };
  for (const key of named)
    if (digests.some((digest) => verifyDigest(key, signature.hashAlgorithm, digest, signature.signature)))
      return { result: 'valid', key, signature };
  return { result: 'bad', reason: `a signature that key ${signature.keyId} did not make over this digest` };
};
