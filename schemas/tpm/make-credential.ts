import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHmac,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';
import { curveOf, type HashName, hashSize, isHashName } from './algorithms.js';
import { kdfa, kdfe } from './kdf.js';
import { publicFromKey } from './marshal-public.js';
import type { EccPublic, RsaPublic, TpmPublic } from './public.js';
import { publicKeyObject } from './public-key.js';
import { blobInvalid, TpmReader } from './reader.js';
import { leftPad, sized } from './writer.js';

const LABEL = 'IDENTITY';
const NONE = Buffer.alloc(0);

/** What only the TPM that holds both the EK and an object of that name can open. Contents of the two TPM2B. */
export interface Credential {
  /** TPMS_ID_OBJECT: sized HMAC, then the encrypted sized secret. */
  readonly credentialBlob: Buffer;
  /** OAEP cipher text, or the ephemeral point (sized x, sized y). */
  readonly encryptedSecret: Buffer;
}

interface Protector {
  readonly hash: HashName;
  readonly size: number;
  readonly keyBits: number;
}

/** What the EK's own parameters say about the wrapping. */
const protectorOf = (ek: TpmPublic): Protector => {
  const { nameAlg, symmetric } = ek;
  if (!isHashName(nameAlg) || nameAlg === 'sha1') throw blobInvalid(`an EK with nameAlg ${nameAlg} is not taken`, 0);
  const { algorithm, mode, keyBits } = symmetric ?? {};
  if (algorithm !== 'aes' || mode !== 'cfb' || (keyBits !== 128 && keyBits !== 192 && keyBits !== 256))
    throw blobInvalid('an EK without AES-CFB cannot protect a credential', 0);
  return { hash: nameAlg, size: hashSize(nameAlg) ?? 0, keyBits };
};

const storageKey = ({ hash, keyBits }: Protector, seed: Buffer, name: Buffer): Buffer =>
  kdfa(hash, seed, 'STORAGE', name, NONE, keyBits);

const integrity = ({ hash, size }: Protector, seed: Buffer, encrypted: Buffer, name: Buffer): Buffer =>
  createHmac(hash, kdfa(hash, seed, 'INTEGRITY', NONE, NONE, size * 8))
    .update(encrypted)
    .update(name)
    .digest();

const oaep = (key: KeyObject, { hash }: Protector) => ({
  key,
  padding: constants.RSA_PKCS1_OAEP_PADDING,
  oaepHash: hash,
  oaepLabel: Buffer.from(`${LABEL}\0`),
});

const x = (area: RsaPublic | EccPublic, size: number): Buffer =>
  area.type === 'ecc' ? leftPad(area.unique.x, size) : NONE;

/** A seed of the nameAlg's size, and how it travels to the EK. */
const sharedSeed = (ek: TpmPublic, protector: Protector): { seed: Buffer; encryptedSecret: Buffer } => {
  const key = publicKeyObject(ek);
  if (ek.type === 'rsa') {
    const seed = randomBytes(protector.size);
    return { seed, encryptedSecret: publicEncrypt(oaep(key, protector), seed) };
  }
  if (ek.type !== 'ecc') throw blobInvalid(`a ${ek.type} object is no endorsement key`, 0);
  const curve = curveOf(ek.curve)!;
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: curve.node });
  const ephemeral = publicFromKey(publicKey, { nameAlg: 'sha256', attributes: 0, scheme: null }) as EccPublic;
  const z = diffieHellman({ privateKey, publicKey: key });
  const seed = kdfe(protector.hash, z, LABEL, x(ephemeral, curve.size), x(ek, curve.size), protector.size * 8);
  return { seed, encryptedSecret: Buffer.concat([sized(ephemeral.unique.x), sized(ephemeral.unique.y)]) };
};

/**
 * TPM2_MakeCredential in software (TPM 2.0 Library, part 1, 24): wraps `secret` (at most as long as the EK's nameAlg
 * digest) for the TPM that holds this EK and an object called `name`. Throws TPM_BLOB_INVALID for an EK that cannot.
 */
export const makeCredential = (ek: TpmPublic, name: Buffer, secret: Buffer): Credential => {
  const protector = protectorOf(ek);
  if (secret.length === 0 || secret.length > protector.size)
    throw blobInvalid(`a secret has 1 to ${protector.size} bytes`, 0);
  const { seed, encryptedSecret } = sharedSeed(ek, protector);
  const cipher = createCipheriv(`aes-${protector.keyBits}-cfb`, storageKey(protector, seed, name), Buffer.alloc(16));
  const encrypted = Buffer.concat([cipher.update(sized(secret)), cipher.final()]);
  const credentialBlob = Buffer.concat([sized(integrity(protector, seed, encrypted, name)), encrypted]);
  return { credentialBlob, encryptedSecret };
};

/** The seed as the EK's holder gets it back. */
const recoverSeed = (ek: TpmPublic, privateKey: KeyObject, encryptedSecret: Buffer, protector: Protector): Buffer => {
  try {
    if (ek.type === 'rsa') return privateDecrypt(oaep(privateKey, protector), encryptedSecret);
  } catch {
    throw blobInvalid('the encrypted secret is not for this EK', 0);
  }
  if (ek.type !== 'ecc') throw blobInvalid(`a ${ek.type} object is no endorsement key`, 0);
  const curve = curveOf(ek.curve)!;
  const reader = new TpmReader(encryptedSecret, 'TPMS_ECC_POINT');
  const unique = { x: reader.sized('x', curve.size), y: reader.sized('y', curve.size) };
  reader.end();
  const publicKey = publicKeyObject({ ...ek, unique });
  const z = diffieHellman({ privateKey, publicKey });
  return kdfe(protector.hash, z, LABEL, leftPad(unique.x, curve.size), x(ek, curve.size), protector.size * 8);
};

/**
 * TPM2_ActivateCredential in software, with the EK's private key: what a TPM does, for whoever stands in for one.
 * Throws TPM_BLOB_INVALID if the credential is for another EK or another name.
 */
export const activateCredential = (ek: TpmPublic, privateKey: KeyObject, name: Buffer, made: Credential): Buffer => {
  const protector = protectorOf(ek);
  const seed = recoverSeed(ek, privateKey, made.encryptedSecret, protector);
  const reader = new TpmReader(made.credentialBlob, 'TPMS_ID_OBJECT');
  const hmac = reader.sized('integrity', protector.size);
  const encrypted = reader.take(reader.left, 'encrypted identity');
  const wanted = integrity(protector, seed, encrypted, name);
  if (hmac.length !== wanted.length || !timingSafeEqual(hmac, wanted))
    throw blobInvalid('the credential is not for this EK and this name', 0);
  const cipher = createDecipheriv(`aes-${protector.keyBits}-cfb`, storageKey(protector, seed, name), Buffer.alloc(16));
  const plain = new TpmReader(Buffer.concat([cipher.update(encrypted), cipher.final()]), 'credential');
  const secret = plain.sized('secret', protector.size);
  plain.end();
  return secret;
};
