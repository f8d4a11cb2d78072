import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { CURVES, verifyEcdsaDigest } from '../../../schemas/ima/elliptic-curve.js';
import { type ImaRecord, imaEntry } from '../../../schemas/ima/entry.js';
import { checkSignature } from '../../../schemas/ima/signature.js';
import { parseImaSignature } from '../../../schemas/ima/signature-header.js';
import { signingKey } from '../../../schemas/ima/signing-key.js';
import {
  CONTENT,
  certificateOf,
  KEY_NAMES,
  portableRecord,
  publicKeyOf,
  SIGNATURES,
  signedRecord,
} from '../../support/evmctl-vectors.js';
import { named, record } from '../../support/ima-records.js';

const KEYS = KEY_NAMES.map((name) => signingKey(certificateOf(name)));
const keyOf = (name: string) => KEYS[KEY_NAMES.indexOf(name)]!;
const check = (read: ImaRecord, keys = KEYS) => checkSignature(imaEntry(read), keys);

describe('what evmctl signed', () => {
  test.each(SIGNATURES)('$name is valid, by certificate and by bare key', ({ key, hash, signature }) => {
    const read = signedRecord(hash, signature);
    expect(check(read)).toMatchObject({ result: 'valid', key: keyOf(key) });
    expect(check(read, [signingKey(publicKeyOf(key))])).toMatchObject({ result: 'valid' });
    expect(
      check(
        read,
        KEYS.filter((known) => known !== keyOf(key)),
      ),
    ).toMatchObject({ result: 'unknown-key' });
  });

  test.each(SIGNATURES)('$name: no bit of it can be changed', ({ hash, signature }) => {
    for (let at = 0; at < signature.length; at += at < 12 ? 1 : 23) {
      const changed = Buffer.from(signature);
      changed[at]! ^= 1 << (at % 8);
      expect([at, check(signedRecord(hash, changed)).result]).not.toEqual([at, 'valid']);
    }
  });

  test('a portable signature of metadata, where the record holds them', () => {
    expect(check(portableRecord())).toMatchObject({ result: 'valid', signature: { type: 'evm-portable' } });
    expect(check(portableRecord({ mode: 0o104755 }))).toMatchObject({ result: 'bad' });
    expect(check(portableRecord({ uid: 1 }))).toMatchObject({ result: 'bad' });
    expect(check(portableRecord({ names: 'security.selinux' }))).toMatchObject({ result: 'unchecked' });
    const evm = imaEntry(portableRecord()).signature!;
    expect(check(signedRecord('sha256', evm))).toMatchObject({ result: 'unchecked' });
  });
});

describe('signatures over a digest and its kind', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = signingKey(publicKey.export({ type: 'spki', format: 'der' }));
  const digest = createHash('sha256').update(CONTENT).digest();
  const signed = (type: number, version: number, over: number): Buffer => {
    const signature = sign('sha256', Buffer.concat([Buffer.from([over, 4]), digest]), privateKey);
    const header = Buffer.alloc(9);
    header.set([type, version, 4]);
    header.write(key.ids[0]!, 3, 'hex');
    header.writeUInt16BE(signature.length, 7);
    return Buffer.concat([header, signature]);
  };
  const read = (kind: 'ima' | 'verity', signature: Buffer): ImaRecord =>
    record('ima-sigv2', [named(`${kind}:sha256`, digest), Buffer.from('/x\0'), signature]);

  test('fs-verity, and version 3 of a content digest', () => {
    expect(check(read('verity', signed(6, 3, 6)), [key])).toMatchObject({ result: 'valid' });
    expect(check(read('ima', signed(3, 3, 3)), [key])).toMatchObject({ result: 'valid' });
  });

  test('one kind is never taken for the other', () => {
    expect(check(read('ima', signed(6, 3, 6)), [key])).toMatchObject({ result: 'bad' });
    expect(check(read('verity', signed(3, 3, 6)), [key])).toMatchObject({ result: 'bad' });
    expect(check(read('verity', signed(6, 3, 3)), [key])).toMatchObject({ result: 'bad' });
    expect(check(read('ima', signed(3, 2, 3)), [key])).toMatchObject({ result: 'bad' });
  });
});

describe('hostile signatures', () => {
  const { signature, hash } = SIGNATURES.find(({ name }) => name === 'rsa2048 sha256')!;
  const changed = (at: number, value: number): Buffer => {
    const copy = Buffer.from(signature);
    copy[at] = value;
    return copy;
  };

  test.each([
    ['empty but for its type', Buffer.from([3])],
    ['a header without signature', signature.subarray(0, 9)],
    ['a length that is too short', changed(8, 0xff)],
    ['a length that is too long', changed(7, 0xff)],
    ['bytes behind it', Buffer.concat([signature, Buffer.from([0])])],
    ['a type that is none', changed(0, 4)],
    ['version 1', changed(1, 1)],
    ['version 255', changed(1, 255)],
    ['a hash that the kernel does not have', changed(2, 200)],
    ['another hash than the digest', changed(2, 6)],
  ])('%s is bad', (_what, bytes) => {
    expect(check(signedRecord(hash, bytes))).toMatchObject({ result: 'bad' });
  });

  test('the signature of another type of key under this key’s id is bad', () => {
    const other = SIGNATURES.find(({ name }) => name === 'p256 sha256')!.signature;
    const header = Buffer.from(other.subarray(0, 9));
    header.write(keyOf('rsa2048').ids[0]!, 3, 'hex');
    expect(check(signedRecord('sha256', Buffer.concat([header, other.subarray(9)])))).toMatchObject({ result: 'bad' });
    const rsa = Buffer.from(signature);
    rsa.write(keyOf('p256').ids[0]!, 3, 'hex');
    expect(check(signedRecord('sha256', rsa))).toMatchObject({ result: 'bad' });
  });

  test('of another file it is bad, and nothing is unsigned', () => {
    const other = record('ima-sig', [named('sha256', Buffer.alloc(32, 9)), Buffer.from('/x\0'), signature]);
    expect(check(other)).toMatchObject({ result: 'bad' });
    expect(check(signedRecord(hash, Buffer.alloc(0)))).toEqual({ result: 'unsigned' });
  });

  test('headers are read as they are', () => {
    expect(parseImaSignature(signature)).toMatchObject({
      type: 'digsig',
      version: 2,
      hashAlgorithm: 'sha256',
      keyId: '8eee3b4f',
    });
  });
});

describe('ECDSA over a digest', () => {
  const named = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' } as const;

  test.each(Object.entries(named))('%s agrees with OpenSSL', (name, openssl) => {
    for (let i = 0; i < 6; i++) {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: openssl });
      const key = signingKey(publicKey.export({ type: 'spki', format: 'der' }));
      const message = Buffer.from(`message ${i}`);
      const hash = ['sha256', 'sha384', 'sha512'][i % 3]!;
      const signature = sign(hash, message, privateKey);
      const digest = createHash(hash).update(message).digest();
      expect(verifyEcdsaDigest(CURVES[name]!, key.point!, digest, signature)).toBe(true);
      digest[0]! ^= 1;
      expect(verifyEcdsaDigest(CURVES[name]!, key.point!, digest, signature)).toBe(false);
    }
  });

  test('numbers out of range and DER that is not exact are no signatures', () => {
    const curve = CURVES['prime256v1']!;
    const point = curve.g;
    const der = (r: string, s: string): Buffer => {
      const part = (hex: string): string => `02${(hex.length / 2).toString(16).padStart(2, '0')}${hex}`;
      const body = part(r) + part(s);
      return Buffer.from(`30${(body.length / 2).toString(16).padStart(2, '0')}${body}`, 'hex');
    };
    const n = `00${curve.n.toString(16)}`;
    const digest = Buffer.alloc(32, 1);
    for (const bytes of [
      der('00', '00'),
      der('00', '01'),
      der('01', '00'),
      der(n, '01'),
      der('01', n),
      der('ff', '01'),
    ])
      expect(verifyEcdsaDigest(curve, point, digest, bytes)).toBe(false);
    for (const bytes of [
      Buffer.alloc(0),
      Buffer.from('30', 'hex'),
      Buffer.from('3080', 'hex'),
      Buffer.from('3006020101', 'hex'),
    ])
      expect(verifyEcdsaDigest(curve, point, digest, bytes)).toBe(false);
    expect(verifyEcdsaDigest(curve, [1n, 1n], digest, der('01', '01'))).toBe(false);
  });

  test('the point at infinity on the way is no trouble', () => {
    const curve = CURVES['prime256v1']!;
    const opposite = [curve.g[0], curve.p - curve.g[1]] as const;
    const one = Buffer.alloc(32);
    one[31] = 1;
    // u1 = u2: the sum of G and -G.
    expect(verifyEcdsaDigest(curve, opposite, one, Buffer.from('3006020101020101', 'hex'))).toBe(false);
  });
});

test('keys that cannot check file signatures are refused', () => {
  const ed = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' });
  const curve = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({
    type: 'spki',
    format: 'der',
  });
  for (const bytes of [ed, curve, Buffer.from('no key'), Buffer.alloc(0)])
    expect(() => signingKey(bytes, 'key.der')).toThrow(
      expect.objectContaining({ code: 'USAGE', place: { path: 'key.der' } }),
    );
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  expect(signingKey(Buffer.from(publicKey.export({ type: 'spki', format: 'pem' }))).kind).toBe('rsa');
});
