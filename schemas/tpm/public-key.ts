import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import { curveOf } from './algorithms.js';
import type { TpmPublic } from './public.js';
import { blobInvalid } from './reader.js';
import { leftPad } from './writer.js';

/** Key sizes that verification takes; TPMs have 2048 and 3072, few have 4096. 1024 proves nothing any more. */
const RSA_BITS: readonly number[] = [2048, 3072, 4096];
/** TPMs refuse smaller exponents too: with 1 or 3 signatures are forged or nearly so. */
const LEAST_EXPONENT = 65537;

const invalid = (what: string) => blobInvalid(`TPMT_PUBLIC: ${what}`, 0);

const jwkOf = (area: TpmPublic): JsonWebKey => {
  if (area.type === 'rsa') {
    const { keyBits, exponent, unique } = area;
    if (!RSA_BITS.includes(keyBits)) throw invalid(`RSA keys of ${keyBits} bits are not taken`);
    if (unique.length * 8 !== keyBits || (unique[0] ?? 0) < 0x80 || ((unique.at(-1) ?? 0) & 1) === 0)
      throw invalid(`the modulus is none of ${keyBits} bits`);
    if (exponent < LEAST_EXPONENT || (exponent & 1) === 0) throw invalid(`the RSA exponent is ${exponent}`);
    const e = Buffer.from(exponent.toString(16).padStart(8, '0'), 'hex');
    // Without zeros in front: that is what the format of keys asks for.
    const short = e.subarray(e.findIndex((byte) => byte !== 0));
    return { kty: 'RSA', n: unique.toString('base64url'), e: short.toString('base64url') };
  }
  if (area.type !== 'ecc') throw invalid(`a ${area.type} object has no public key`);
  const curve = curveOf(area.curve);
  const { x, y } = area.unique;
  if (curve === null) throw invalid(`curve ${area.curve} is not taken`);
  if (x.length > curve.size || y.length > curve.size) throw invalid('a coordinate is longer than the curve');
  const text = (bytes: Buffer): string => leftPad(bytes, curve.size).toString('base64url');
  return { kty: 'EC', crv: curve.jwk, x: text(x), y: text(y) };
};

/** Keys that were made already, as making one costs more than a signature check. */
const made = new WeakMap<TpmPublic, KeyObject>();

/** The key itself (RSA 2048, 3072, 4096; P-256, P-384, P-521). Throws TPM_BLOB_INVALID: size, exponent, point not on its curve. */
export const publicKeyObject = (area: TpmPublic): KeyObject => {
  const known = made.get(area);
  if (known !== undefined) return known;
  const jwk = jwkOf(area);
  let key: KeyObject;
  try {
    key = createPublicKey({ key: jwk, format: 'jwk' });
  } catch {
    throw invalid('the numbers are no key: the point is not on its curve, or the modulus is impossible');
  }
  made.set(area, key);
  return key;
};
