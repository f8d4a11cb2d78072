import { algorithmName, curveOf, MAX_DIGEST, TPM_ALG } from './algorithms.js';
import { TpmReader } from './reader.js';

/** An algorithm with the hash it uses; `null` for TPM_ALG_NULL. */
export interface Scheme {
  readonly algorithm: string;
  readonly hash: string | null;
}

export interface SymmetricDefinition {
  readonly algorithm: string;
  readonly keyBits: number;
  readonly mode: string;
}

interface PublicArea {
  /** The TPMT_PUBLIC itself: what an object's name is the hash of. */
  readonly bytes: Buffer;
  readonly nameAlg: string;
  /** TPMA_OBJECT, see attributes.ts. */
  readonly attributes: number;
  readonly authPolicy: Buffer;
}

export interface RsaPublic extends PublicArea {
  readonly type: 'rsa';
  readonly symmetric: SymmetricDefinition | null;
  readonly scheme: Scheme | null;
  readonly keyBits: number;
  /** 65537 where the TPM says 0. */
  readonly exponent: number;
  /** The modulus. */
  readonly unique: Buffer;
}

export interface EccPublic extends PublicArea {
  readonly type: 'ecc';
  readonly symmetric: SymmetricDefinition | null;
  readonly scheme: Scheme | null;
  /** `nistp256`, or `curve-0x1234`. */
  readonly curve: string;
  readonly kdf: Scheme | null;
  readonly unique: { readonly x: Buffer; readonly y: Buffer };
}

/** Keyed hash objects (sealed data, HMAC keys) and symmetric keys: named, never used here. */
export interface OtherPublic extends PublicArea {
  readonly type: 'keyedhash' | 'symcipher';
  readonly symmetric: SymmetricDefinition | null;
  readonly scheme: Scheme | null;
  readonly unique: Buffer;
}

/** TPMT_PUBLIC (TPM 2.0 Library, part 2, 12.2.4). Buffers are views into `bytes`. */
export type TpmPublic = RsaPublic | EccPublic | OtherPublic;

/** 4096 bits. */
const MAX_MODULUS = 512;
/** A coordinate of the largest curve, 638 bits. */
const MAX_COORDINATE = 80;

const readSymmetric = (reader: TpmReader): SymmetricDefinition | null => {
  const algorithm = reader.u16('symmetric algorithm');
  if (algorithm === TPM_ALG.null) return null;
  return {
    algorithm: algorithmName(algorithm),
    keyBits: reader.u16('symmetric key size'),
    mode: algorithmName(reader.u16('symmetric mode')),
  };
};

const readScheme = (reader: TpmReader): Scheme | null => {
  const algorithm = reader.u16('scheme');
  if (algorithm === TPM_ALG.null) return null;
  if (algorithm === TPM_ALG.rsaes) return { algorithm: algorithmName(algorithm), hash: null };
  const hash = algorithmName(reader.u16("scheme's hash"));
  // The anonymous scheme has a counter, the XOR scheme a key derivation behind its hash.
  if (algorithm === TPM_ALG.ecdaa) reader.u16('count');
  if (algorithm === TPM_ALG.xor) reader.u16('key derivation');
  return { algorithm: algorithmName(algorithm), hash };
};

/**
 * Takes a public area apart: the bare TPMT_PUBLIC, so that no two inputs are the same key (see `unwrapSized` for files
 * that hold a TPM2B_PUBLIC). Throws TPM_BLOB_INVALID where it does not hold together, but does not judge key sizes,
 * attributes or schemes.
 */
export const parsePublic = (bytes: Buffer): TpmPublic => {
  const reader = new TpmReader(bytes, 'TPMT_PUBLIC');
  const type = reader.u16('type');
  const nameAlg = algorithmName(reader.u16('nameAlg'));
  const attributes = reader.u32('objectAttributes');
  const authPolicy = reader.sized('authPolicy', MAX_DIGEST);
  const area = { bytes, nameAlg, attributes, authPolicy };
  const whole = <T extends TpmPublic>(made: T): T => {
    reader.end();
    return made;
  };
  switch (type) {
    case TPM_ALG.rsa: {
      const symmetric = readSymmetric(reader);
      const scheme = readScheme(reader);
      const keyBits = reader.u16('keyBits');
      const exponent = reader.u32('exponent') || 65537;
      const unique = reader.sized('modulus', MAX_MODULUS);
      return whole({ ...area, type: 'rsa', symmetric, scheme, keyBits, exponent, unique });
    }
    case TPM_ALG.ecc: {
      const symmetric = readSymmetric(reader);
      const scheme = readScheme(reader);
      const id = reader.u16('curve');
      const curve = curveOf(id)?.name ?? `curve-0x${id.toString(16).padStart(4, '0')}`;
      const kdf = readScheme(reader);
      const unique = { x: reader.sized('x', MAX_COORDINATE), y: reader.sized('y', MAX_COORDINATE) };
      return whole({ ...area, type: 'ecc', symmetric, scheme, curve, kdf, unique });
    }
    case TPM_ALG.keyedhash: {
      const scheme = readScheme(reader);
      return whole({ ...area, type: 'keyedhash', symmetric: null, scheme, unique: reader.sized('unique', MAX_DIGEST) });
    }
    case TPM_ALG.symcipher: {
      const symmetric = readSymmetric(reader);
      return whole({ ...area, type: 'symcipher', symmetric, scheme: null, unique: reader.sized('unique', MAX_DIGEST) });
    }
    default:
      throw reader.invalid(`type ${algorithmName(type)} is none of rsa, ecc, keyedhash, symcipher`, 0);
  }
};
