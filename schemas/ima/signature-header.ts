import { kernelHashName } from './hash-algorithm.js';

/** What the signature is over: the file's digest, the file's metadata (EVM), a digest of fs-verity. */
export type SignatureType = 'digsig' | 'evm-portable' | 'verity';

/** `security.ima` as `struct signature_v2_hdr` (security/integrity/integrity.h), big-endian. All of it is its writer's claim. */
export interface ImaSignature {
  readonly type: SignatureType;
  /** 2; 3 where the digest is signed together with its type. */
  readonly version: number;
  readonly hashAlgorithm: string;
  /** 4 bytes in hex. */
  readonly keyId: string;
  readonly signature: Buffer;
}

const TYPES: Readonly<Record<number, SignatureType>> = { 3: 'digsig', 5: 'evm-portable', 6: 'verity' };

const HEADER = 9;
/** RSA with 16,384 bits. */
const MAX_SIGNATURE = 2048;

/** Reads a signature; a text says why it is none. Whatever does not fit exactly is none. */
export const parseImaSignature = (bytes: Buffer): ImaSignature | string => {
  if (bytes.length < HEADER) return `${bytes.length} bytes are too few for a header`;
  const type = TYPES[bytes[0]!];
  if (type === undefined) return `of type ${bytes[0]}`;
  const version = bytes[1]!;
  const fits = type === 'verity' ? version === 3 : version === 2 || (type === 'digsig' && version === 3);
  if (!fits) return `of version ${version}, which type ${type} does not have`;
  const hashAlgorithm = kernelHashName(bytes[2]!);
  if (hashAlgorithm === null) return `with hash algorithm ${bytes[2]}`;
  const size = bytes.readUInt16BE(7);
  if (size === 0 || size > MAX_SIGNATURE || size !== bytes.length - HEADER)
    return `with a length of ${size}, and ${bytes.length - HEADER} bytes are there`;
  return { type, version, hashAlgorithm, keyId: bytes.toString('hex', 3, 7), signature: bytes.subarray(HEADER) };
};

/** The header's numbers of a type and a version, for what is signed with them. */
export const signatureTypeNumber = (type: SignatureType): number => (type === 'digsig' ? 3 : type === 'verity' ? 6 : 5);
