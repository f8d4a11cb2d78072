import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { marshalCredentialFile, parseCredentialFile } from '../../../schemas/tpm/credential-file.js';
import { activateCredential, makeCredential } from '../../../schemas/tpm/make-credential.js';
import { publicFromKey } from '../../../schemas/tpm/marshal-public.js';
import { parsePublic } from '../../../schemas/tpm/public.js';
import { TPM_VECTORS } from '../../support/tpm-vectors.js';

const invalid = expect.objectContaining({ code: 'TPM_BLOB_INVALID' });

describe.each(TPM_VECTORS.credentials)('a credential of tpm2_makecredential for $label', (vector) => {
  const ek = parsePublic(vector.public);
  const key = createPrivateKey(vector.privateKey);
  const made = parseCredentialFile(vector.file);

  test('opens to its secret, and ours does too', () => {
    expect(activateCredential(ek, key, vector.name, made)).toEqual(vector.secret);
    expect(marshalCredentialFile(made)).toEqual(vector.file);
    const ours = makeCredential(ek, vector.name, vector.secret);
    expect(activateCredential(ek, key, vector.name, ours)).toEqual(vector.secret);
    expect(ours.credentialBlob).toHaveLength(made.credentialBlob.length);
    expect(ours.encryptedSecret).toHaveLength(made.encryptedSecret.length);
  });

  test('opens for no other name, and not once altered', () => {
    const name = Buffer.from(vector.name);
    name[20]! ^= 1;
    expect(() => activateCredential(ek, key, name, made)).toThrow(invalid);
    for (const part of ['credentialBlob', 'encryptedSecret'] as const)
      for (let i = 0; i < made[part].length; i += 11) {
        const bytes = Buffer.from(made[part]);
        bytes[i]! ^= 4;
        expect(() => activateCredential(ek, key, vector.name, { ...made, [part]: bytes })).toThrow(invalid);
      }
  });

  test('opens for no other key', () => {
    const kind = key.asymmetricKeyType;
    const { privateKey } =
      kind === 'rsa'
        ? generateKeyPairSync('rsa', { modulusLength: 2048 })
        : generateKeyPairSync('ec', { namedCurve: key.asymmetricKeyDetails!.namedCurve! });
    expect(() => activateCredential(ek, privateKey, vector.name, made)).toThrow(invalid);
  });
});

test('a secret is at most as long as the digest, and an EK has to be able to protect it', () => {
  const [rsa] = TPM_VECTORS.credentials;
  const ek = parsePublic(rsa!.public);
  expect(() => makeCredential(ek, rsa!.name, Buffer.alloc(33))).toThrow(invalid);
  expect(() => makeCredential(ek, rsa!.name, Buffer.alloc(0))).toThrow(invalid);
  const key = createPrivateKey(rsa!.privateKey);
  const signer = publicFromKey(key, { nameAlg: 'sha256', attributes: 0x50472, scheme: null });
  expect(() => makeCredential(signer, rsa!.name, Buffer.alloc(32))).toThrow('AES-CFB');
  expect(() => makeCredential({ ...ek, nameAlg: 'sha1' }, rsa!.name, Buffer.alloc(16))).toThrow(invalid);
});

test('a file that does not begin as one is refused', () => {
  const { file } = TPM_VECTORS.credentials[0]!;
  const wrong = Buffer.from(file);
  wrong[7] = 2;
  expect(() => parseCredentialFile(wrong)).toThrow(invalid);
  expect(() => parseCredentialFile(file.subarray(0, -1))).toThrow(invalid);
  expect(() => parseCredentialFile(Buffer.concat([file, Buffer.of(1)]))).toThrow(invalid);
});
