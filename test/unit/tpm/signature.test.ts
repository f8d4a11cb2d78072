import { describe, expect, test } from '@jest/globals';
import { type EccPublic, parsePublic, type RsaPublic } from '../../../schemas/tpm/public.js';
import {
  marshalSignature,
  parseSignature,
  SIGNATURE_HASHES,
  signatureFits,
  verifySignature,
} from '../../../schemas/tpm/signature.js';
import { quoteVector, TPM_VECTORS } from '../../support/tpm-vectors.js';

const fitting = [...SIGNATURE_HASHES, 'sha1'];

describe.each(TPM_VECTORS.quotes)('a signature of tpm2-tools with $label', (vector) => {
  const area = parsePublic(vector.public);
  const signature = parseSignature(vector.signature);

  test('fits its key and is right', () => {
    expect(signatureFits(area, signature, fitting)).toBe(true);
    expect(verifySignature(area, vector.message, signature)).toBe(true);
    expect(verifySignature(area, vector.certify, parseSignature(vector.certifySignature))).toBe(true);
    expect(marshalSignature(signature)).toEqual(vector.signature);
  });

  test('no other message, signature or key goes with it', () => {
    for (let i = 0; i < vector.message.length; i += 7) {
      const message = Buffer.from(vector.message);
      message[i]! ^= 0x10;
      expect(verifySignature(area, message, signature)).toBe(false);
    }
    for (let i = 6; i < vector.signature.length; i += 9) {
      const bytes = Buffer.from(vector.signature);
      bytes[i]! ^= 0x10;
      let accepted = false;
      try {
        accepted = verifySignature(area, vector.message, parseSignature(bytes));
      } catch {
        // A length was hit.
      }
      expect(accepted).toBe(false);
    }
    for (const other of TPM_VECTORS.quotes)
      if (other !== vector) expect(verifySignature(parsePublic(other.public), vector.message, signature)).toBe(false);
  });

  test('cut, or with a byte behind it, it is none', () => {
    for (const bytes of [
      vector.signature.subarray(0, -1),
      vector.signature.subarray(0, 3),
      Buffer.concat([vector.signature, Buffer.of(0)]),
    ])
      expect(() => parseSignature(bytes)).toThrow(expect.objectContaining({ code: 'TPM_BLOB_INVALID' }));
  });
});

const ecc = quoteVector('ecc');
const rsa = quoteVector('rsassa');
const pss = quoteVector('rsapss');

test('a signature of another scheme, hash or size does not fit', () => {
  const area = parsePublic(rsa.public) as RsaPublic;
  const signature = parseSignature(rsa.signature);
  expect(signatureFits(parsePublic(pss.public), signature)).toBe(false);
  expect(signatureFits(parsePublic(ecc.public), signature)).toBe(false);
  expect(signatureFits(area, parseSignature(ecc.signature))).toBe(false);
  expect(signatureFits(area, { ...signature, hash: 'sha384' })).toBe(false);
  expect(signatureFits({ ...area, scheme: null }, { ...signature, hash: 'sha384' })).toBe(true);
  const short = { algorithm: 'rsassa' as const, hash: 'sha256', value: Buffer.alloc(255) };
  expect(signatureFits(area, short)).toBe(false);
  // Collisions of SHA-1 can be made: only who asks for it gets it.
  const old = quoteVector('sha1');
  expect(signatureFits(parsePublic(old.public), parseSignature(old.signature))).toBe(false);
});

test('coordinates are taken without the zeros in front, and not longer than the curve', () => {
  const area = parsePublic(ecc.public) as EccPublic;
  const { r, s } = parseSignature(ecc.signature) as { r: Buffer; s: Buffer };
  const made = { algorithm: 'ecdsa' as const, hash: 'sha256' };
  expect(verifySignature(area, ecc.message, { ...made, r, s })).toBe(true);
  const long = Buffer.concat([Buffer.of(0), r]);
  expect(verifySignature(area, ecc.message, { ...made, r: long, s })).toBe(false);
  for (const zero of [Buffer.alloc(0), Buffer.alloc(1), Buffer.alloc(32)])
    expect(verifySignature(area, ecc.message, { ...made, r: zero, s })).toBe(false);
  // As the curve's order is odd, n − s is as good as s: the one change to a signature that stays right.
  const order = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');
  const mirrored = order - BigInt(`0x${s.toString('hex')}`);
  const twin = Buffer.from(mirrored.toString(16).padStart(64, '0'), 'hex');
  expect(verifySignature(area, ecc.message, { ...made, r, s: twin })).toBe(true);
});

test('schemes that are not verified are refused by name', () => {
  for (const [hex, name] of [
    ['0005000b', 'hmac'],
    ['001a000b', 'ecdaa'],
    ['0010', 'null'],
    ['7777', '0x7777'],
  ])
    expect(() => parseSignature(Buffer.from(hex!, 'hex'))).toThrow(`scheme ${name} is none of`);
});
