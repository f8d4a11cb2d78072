import { describe, expect, test } from '@jest/globals';
import { algorithmId, algorithmName, TPM_ALG } from '../../../schemas/tpm/algorithms.js';
import {
  parseAttest,
  TPM_GENERATED_VALUE,
  TPM_ST_ATTEST_CERTIFY,
  TPM_ST_ATTEST_QUOTE,
  unwrapAttest,
} from '../../../schemas/tpm/attest.js';
import { ATTESTATION_KEY, attestationKeyFaults, attributeNames } from '../../../schemas/tpm/attributes.js';
import { EK_TEMPLATES, ekTemplateOf } from '../../../schemas/tpm/ek-template.js';
import { marshalAttest } from '../../../schemas/tpm/marshal-attest.js';
import { fromPem, marshalPublic } from '../../../schemas/tpm/marshal-public.js';
import { endorsementQualifiedName, nameAlgOf, objectName, qualifiedName } from '../../../schemas/tpm/name.js';
import { pcrDigest } from '../../../schemas/tpm/pcr-digest.js';
import { type EccPublic, parsePublic, type RsaPublic } from '../../../schemas/tpm/public.js';
import { publicKeyObject } from '../../../schemas/tpm/public-key.js';
import { parseKeylimeQuote, parsePcrFile } from '../../../schemas/tpm/quote-files.js';
import { selectionFromText } from '../../../schemas/tpm/selection.js';
import { sized, u16, u32 } from '../../../schemas/tpm/writer.js';
import { quoteVector, TPM_VECTORS } from '../../support/tpm-vectors.js';

const invalid = (offset?: number) =>
  expect.objectContaining({ code: 'TPM_BLOB_INVALID', ...(offset === undefined ? {} : { place: { offset } }) });
const refusal = (work: () => unknown): unknown => {
  try {
    work();
  } catch (error) {
    return error;
  }
  return null;
};

describe.each(TPM_VECTORS.quotes)('what tpm2-tools made with $label', (vector) => {
  const area = parsePublic(vector.public);

  test('names and qualified names are theirs', () => {
    expect(objectName(area).equals(vector.name)).toBe(true);
    const parent = endorsementQualifiedName(objectName(parsePublic(TPM_VECTORS.endorsement)));
    expect(qualifiedName(parent, vector.name).equals(vector.qualifiedName)).toBe(true);
  });

  test('the quote says what was asked, and its digest is over the values in their file', () => {
    const attest = parseAttest(vector.message);
    expect(attest).toMatchObject({ magic: TPM_GENERATED_VALUE, type: TPM_ST_ATTEST_QUOTE, safe: true, trailing: 0 });
    expect(attest.extraData.toString('hex')).toBe('00112233');
    expect(attest.qualifiedSigner.equals(vector.qualifiedName)).toBe(true);
    expect(attest.quote!.selection).toEqual(selectionFromText('sha256:0,10,12+sha1:10'));
    const values = parsePcrFile(vector.values, attest.quote!.selection);
    expect(values.find(({ hash, pcr }) => hash === 'sha1' && pcr === 10)!.value).toHaveLength(20);
    expect(pcrDigest(attest.quote!.selection, values, vector.hash)!.equals(attest.quote!.pcrDigest)).toBe(true);
    expect(pcrDigest(attest.quote!.selection, values.slice(1), vector.hash)).toBeNull();
  });

  test('the certificate of an object names it', () => {
    const attest = parseAttest(vector.certify);
    expect(attest.type).toBe(TPM_ST_ATTEST_CERTIFY);
    expect(attest.certify!.name.equals(vector.certifiedName)).toBe(true);
    expect(attest.certify!.qualifiedName.equals(vector.certifiedQualifiedName)).toBe(true);
  });

  test('public areas, attestations and their parts are written as they were read', () => {
    expect(area.type === 'rsa' || area.type === 'ecc' ? marshalPublic(area) : null).toEqual(area.bytes);
    for (const bytes of [vector.message, vector.certify]) expect(marshalAttest(parseAttest(bytes))).toEqual(bytes);
  });

  test('cut anywhere, each is refused and not taken for something shorter', () => {
    const refused = (parse: (bytes: Buffer) => unknown, bytes: Buffer): boolean[] =>
      Array.from({ length: bytes.length }, (_, end) => refusal(() => parse(bytes.subarray(0, end))) !== null);
    expect(refused(parseAttest, vector.message)).not.toContain(false);
    expect(refused(parseAttest, vector.certify)).not.toContain(false);
    expect(refused(parsePublic, area.bytes)).not.toContain(false);
  });
});

describe('TPMS_ATTEST', () => {
  const { message } = quoteVector('ecc');

  test('a wrapped one is unwrapped, a bare one left as it is', () => {
    expect(unwrapAttest(sized(message))).toEqual(message);
    expect(unwrapAttest(message)).toBe(message);
  });

  test('another magic or type is told, not refused; the body is then what follows', () => {
    const other = Buffer.from(message);
    other.writeUInt32BE(0x12345678, 0);
    other.writeUInt16BE(0x8014, 4);
    const attest = parseAttest(other);
    expect(attest).toMatchObject({ magic: 0x12345678, type: 0x8014, quote: null, certify: null });
    expect(attest.trailing).toBe(message.length - 67 - 6);
  });

  test('bytes behind the body are counted', () => {
    expect(parseAttest(Buffer.concat([message, Buffer.alloc(3)])).trailing).toBe(3);
  });

  test.each([
    ['qualifiedSigner', 6, 67],
    ['qualifiedSigner', 6, 0xffff],
    ['extraData', 42, 0x1000],
  ])('%s with a size that lies is refused where it stands', (_, at, size) => {
    const bytes = Buffer.from(message);
    bytes.writeUInt16BE(size, at);
    expect(refusal(() => parseAttest(bytes))).toEqual(invalid(at));
  });

  test('a selection of 2³¹ banks is refused before anything is made for it', () => {
    const at = message.length - 34 - 4 - 6 * 2;
    const bytes = Buffer.from(message);
    expect(bytes.readUInt32BE(at)).toBe(2);
    bytes.writeUInt32BE(0x80000000, at);
    expect(refusal(() => parseAttest(bytes))).toEqual(invalid(at));
  });
});

describe('TPMT_PUBLIC', () => {
  const ecc = parsePublic(quoteVector('ecc').public) as EccPublic;
  const rsa = parsePublic(quoteVector('rsassa').public) as RsaPublic;

  test('fields are those of the key', () => {
    expect(ecc).toMatchObject({
      type: 'ecc',
      nameAlg: 'sha256',
      curve: 'nistp256',
      scheme: { algorithm: 'ecdsa', hash: 'sha256' },
      symmetric: null,
      kdf: null,
    });
    expect(rsa).toMatchObject({ type: 'rsa', keyBits: 2048, exponent: 65537 });
    expect(attributeNames(ATTESTATION_KEY)).toEqual([
      ...['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'userWithAuth', 'noDA', 'restricted', 'sign'],
    ]);
    expect(attestationKeyFaults(ATTESTATION_KEY)).toEqual([]);
    expect(attestationKeyFaults(0x60472)).toEqual(['not restricted', 'decrypt']);
    expect(attestationKeyFaults(0)).toHaveLength(5);
  });

  test('one that is wrapped is not taken for the bare one: there are no two forms of a key', () => {
    for (const area of [ecc, rsa]) expect(refusal(() => parsePublic(sized(area.bytes)))).toEqual(invalid());
  });

  test('a key from PEM has the name of the object that it stands for', () => {
    const pem = String(publicKeyObject(ecc).export({ type: 'spki', format: 'pem' }));
    const { nameAlg, attributes, scheme } = ecc;
    expect(objectName(fromPem(pem, { nameAlg, attributes, scheme })).equals(quoteVector('ecc').name)).toBe(true);
    expect(refusal(() => fromPem('-----BEGIN NOTHING-----', { nameAlg, attributes, scheme }))).toEqual(invalid(0));
  });

  test.each([
    ['an even modulus', { unique: Buffer.concat([rsa.unique.subarray(0, -1), Buffer.of(2)]) }],
    ['a modulus shorter than it says', { unique: rsa.unique.subarray(1) }],
    ['a modulus with a zero in front', { unique: Buffer.concat([Buffer.of(0), rsa.unique.subarray(1)]) }],
    ['1024 bits', { keyBits: 1024, unique: rsa.unique.subarray(0, 128) }],
    ['exponent 3', { exponent: 3 }],
    ['an even exponent', { exponent: 65538 }],
  ])('RSA with %s is no key', (_, change) => {
    expect(refusal(() => publicKeyObject({ ...rsa, ...change }))).toEqual(invalid());
  });

  test('a point that is not on its curve is no key, nor is one of a curve not known', () => {
    const y = Buffer.from(ecc.unique.y);
    y[31]! ^= 1;
    expect(refusal(() => publicKeyObject({ ...ecc, unique: { ...ecc.unique, y } }))).toEqual(invalid());
    expect(refusal(() => publicKeyObject({ ...ecc, curve: 'curve-0x0010' }))).toEqual(invalid());
    const long = Buffer.concat([Buffer.of(0), ecc.unique.x]);
    expect(refusal(() => publicKeyObject({ ...ecc, unique: { ...ecc.unique, x: long } }))).toEqual(invalid());
  });

  test('sealed data and symmetric keys are named', () => {
    const keyedhash = Buffer.concat([
      ...[u16(TPM_ALG.keyedhash), u16(TPM_ALG.sha256), u32(0x52), sized(), u16(TPM_ALG.null), sized(Buffer.alloc(32))],
    ]);
    expect(parsePublic(keyedhash)).toMatchObject({ type: 'keyedhash', scheme: null });
    const cipher = Buffer.concat([
      ...[u16(TPM_ALG.symcipher), u16(TPM_ALG.sha256), u32(0x52), sized()],
      ...[u16(TPM_ALG.aes), u16(128), u16(TPM_ALG.cfb), sized(Buffer.alloc(32))],
    ]);
    expect(parsePublic(cipher)).toMatchObject({ type: 'symcipher', symmetric: { algorithm: 'aes', keyBits: 128 } });
    expect(refusal(() => publicKeyObject(parsePublic(cipher)))).toEqual(invalid());
    expect(refusal(() => parsePublic(Buffer.concat([u16(0x0099), cipher.subarray(2)])))).toEqual(invalid(0));
    expect(refusal(() => parsePublic(Buffer.concat([cipher, Buffer.of(0)])))).toEqual(invalid(cipher.length));
  });
});

describe('names', () => {
  test('what is no name of an object has no parent', () => {
    expect(nameAlgOf(quoteVector('ecc').name)).toBe('sha256');
    for (const bytes of [Buffer.alloc(0), Buffer.of(0, 0xb), Buffer.concat([u16(TPM_ALG.sha384), Buffer.alloc(32)])])
      expect(refusal(() => qualifiedName(Buffer.alloc(4), bytes))).toEqual(invalid(0));
  });

  test('algorithms are called what they are, and ids that nobody knows by their number', () => {
    expect(algorithmName(0x18)).toBe('ecdsa');
    expect(algorithmName(0x7777)).toBe('0x7777');
    expect(algorithmId('0x7777')).toBe(0x7777);
    expect(algorithmId('toString')).toBeNull();
  });

  test('every standard EK template is recognised whatever its key, and no other', () => {
    for (const { id, fields } of EK_TEMPLATES) {
      expect(ekTemplateOf(parsePublic(marshalPublic(fields)))?.id).toBe(id);
      const bent = { ...fields, attributes: fields.attributes | 0x40000 };
      expect(ekTemplateOf(parsePublic(marshalPublic(bent)))).toBeNull();
    }
    expect(ekTemplateOf(parsePublic(TPM_VECTORS.endorsement))?.id).toBe('L-2');
    expect(ekTemplateOf(parsePublic(quoteVector('ecc').public))).toBeNull();
  });
});

describe('files of tpm2_quote', () => {
  const { pcrs, message, signature, values, valuesMessage } = quoteVector('ecc');
  const { selection } = parseAttest(message).quote!;

  test('both forms of the PCR file hold the same values', () => {
    expect(parsePcrFile(pcrs!, selection)).toEqual(parsePcrFile(values, parseAttest(valuesMessage).quote!.selection));
  });

  test.each([
    ['17 banks', 0, 17],
    ['300 lists', 132, 300],
    ['nine digests in a list', 136, 9],
  ])('the serialized form with %s is refused', (_, at, count) => {
    const bytes = Buffer.from(pcrs!);
    bytes.writeUInt32LE(count, at);
    expect(refusal(() => parsePcrFile(bytes, selection))).toEqual(invalid());
  });

  test('a digest or bitmap longer than its room is refused', () => {
    const digest = Buffer.from(pcrs!);
    digest.writeUInt16LE(65, 140);
    expect(refusal(() => parsePcrFile(digest, selection))).toEqual(invalid(140));
    const bitmap = Buffer.from(pcrs!);
    bitmap[6] = 5;
    expect(refusal(() => parsePcrFile(bitmap, selection))).toEqual(invalid(6));
    expect(refusal(() => parsePcrFile(values.subarray(1), selection))).toEqual(invalid());
  });

  test("Keylime's text is taken apart, deflated or not", async () => {
    const { deflateSync } = await import('node:zlib');
    const text = (pack: (bytes: Buffer) => Buffer): string =>
      `r${[message, signature, pcrs!].map((part) => pack(part).toString('base64')).join(':')}`;
    for (const pack of [(bytes: Buffer) => bytes, deflateSync])
      expect(parseKeylimeQuote(text(pack))).toEqual({ message, signature, pcrs });
    const bomb = deflateSync(Buffer.alloc(1 << 20)).toString('base64');
    for (const wrong of ['', 'r', 'd::', 'ra:b', `r${bomb}:AAAA:AAAA`, 'r*:AAAA:AAAA', 'rAAAA:AAAA:AAAA:AAAA'])
      expect(refusal(() => parseKeylimeQuote(wrong))).toEqual(invalid(0));
  });
});
