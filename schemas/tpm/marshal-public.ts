import { createPublicKey, type KeyObject } from 'node:crypto';
import { AttestreamError } from '../errors.js';
import { algorithmId, curveOf, TPM_ALG } from './algorithms.js';
import { type EccPublic, parsePublic, type RsaPublic, type Scheme, type SymmetricDefinition } from './public.js';
import { leftPad, sized, u16, u32 } from './writer.js';

const alg = (name: string): Buffer => {
  const id = algorithmId(name);
  if (id === null) throw new AttestreamError('USAGE', `no TPM algorithm is called ${name}`);
  return u16(id);
};

const symmetricBytes = (symmetric: SymmetricDefinition | null): Buffer =>
  symmetric === null
    ? u16(TPM_ALG.null)
    : Buffer.concat([alg(symmetric.algorithm), u16(symmetric.keyBits), alg(symmetric.mode)]);

const schemeBytes = (scheme: Scheme | null): Buffer =>
  scheme === null
    ? u16(TPM_ALG.null)
    : Buffer.concat([alg(scheme.algorithm), ...(scheme.hash === null ? [] : [alg(scheme.hash)])]);

/** What a public area is made of, without its bytes. */
export type PublicFields = Omit<RsaPublic, 'bytes'> | Omit<EccPublic, 'bytes'>;

/** TPMT_PUBLIC of an RSA or elliptic-curve key. */
export const marshalPublic = (fields: PublicFields): Buffer => {
  const head = [
    alg(fields.type),
    alg(fields.nameAlg),
    u32(fields.attributes),
    sized(fields.authPolicy),
    symmetricBytes(fields.symmetric),
    schemeBytes(fields.scheme),
  ];
  if (fields.type === 'rsa') {
    // The default exponent is written as 0: that is what TPMs hash into names.
    const exponent = fields.exponent === 65537 ? 0 : fields.exponent;
    return Buffer.concat([...head, u16(fields.keyBits), u32(exponent), sized(fields.unique)]);
  }
  const curve = curveOf(fields.curve);
  if (curve === null) throw new AttestreamError('USAGE', `no curve is called ${fields.curve}`);
  const { x, y } = fields.unique;
  return Buffer.concat([...head, u16(curve.id), schemeBytes(fields.kdf), sized(x), sized(y)]);
};

/** What a key on its own does not say of the TPM object it stands for. */
export interface ObjectTemplate {
  readonly nameAlg: string;
  readonly attributes: number;
  readonly authPolicy?: Buffer;
  readonly symmetric?: SymmetricDefinition | null;
  readonly scheme: Scheme | null;
}

/** The public area that a TPM object with this key (RSA, P-256, P-384, P-521; private or public) has. */
export const publicFromKey = (key: KeyObject, template: ObjectTemplate): RsaPublic | EccPublic => {
  const jwk = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' });
  const { nameAlg, attributes, authPolicy = Buffer.alloc(0), symmetric = null, scheme } = template;
  const area = { nameAlg, attributes, authPolicy, symmetric, scheme };
  const number = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64url');
  if (jwk.kty === 'RSA') {
    const unique = number(jwk.n);
    const exponent = Number(BigInt(`0x${number(jwk.e).toString('hex')}`));
    const keyBits = unique.length * 8;
    return parsePublic(marshalPublic({ ...area, type: 'rsa', keyBits, exponent, unique })) as RsaPublic;
  }
  const curve = curveOf(jwk.crv ?? '');
  if (curve === null) throw new AttestreamError('USAGE', `a TPM has no ${key.asymmetricKeyType} keys of this kind`);
  const unique = { x: leftPad(number(jwk.x), curve.size), y: leftPad(number(jwk.y), curve.size) };
  return parsePublic(marshalPublic({ ...area, type: 'ecc', curve: curve.name, kdf: null, unique })) as EccPublic;
};

/** As `publicFromKey`, from PEM (SPKI or PKCS#8). Throws TPM_BLOB_INVALID for what is no key. */
export const fromPem = (pem: string, template: ObjectTemplate): RsaPublic | EccPublic => {
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch (cause) {
    throw new AttestreamError('TPM_BLOB_INVALID', 'the text is not a public key in PEM', { offset: 0 }, { cause });
  }
  return publicFromKey(key, template);
};
