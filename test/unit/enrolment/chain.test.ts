import { createPrivateKey, sign, webcrypto } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { type Certificate, readCertificate, readCertificates } from '../../../processors/run/enrolment/certificate.js';
import { type Anchors, findChain } from '../../../processors/run/enrolment/chain.js';
import { certifies } from '../../../processors/run/enrolment/endorsement-key.js';
import { rootSetDigest } from '../../../processors/run/enrolment/root-set.js';
import { publicFromKey } from '../../../schemas/tpm/marshal-public.js';
import { type Issued, issue } from '../../support/certificates.js';

const NOW = Date.UTC(2026, 0, 1);
const YEAR = 365 * 86_400_000;

const anchors = (roots: readonly Issued[], more: Partial<Anchors> = {}): Anchors => ({
  roots: roots.map(({ certificate }) => certificate),
  intermediates: [],
  allowExpiredIssuers: false,
  ...more,
});

const failure = async (
  leaf: Issued,
  sent: readonly Issued[],
  from: Anchors,
  now = NOW,
): Promise<string | readonly string[]> => {
  const chain = await findChain(
    leaf.certificate,
    sent.map(({ certificate }) => certificate),
    from,
    now,
  );
  return 'failure' in chain ? chain.failure : chain.path.map(({ subjectText }) => subjectText);
};

/** The certificate with a zero too many before its version, signed like that. */
const looselyEncoded = async ({ certificate }: Issued, by: Issued): Promise<Certificate> => {
  const element = (tag: number, ...parts: Buffer[]): Buffer => {
    const content = Buffer.concat(parts);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(content.length);
    return Buffer.concat([Buffer.from([tag, 0x82]), length, content]);
  };
  const { bytes } = certificate;
  const body = bytes.subarray(8, 8 + bytes.readUInt16BE(6));
  const version = Buffer.from('a003020102', 'hex');
  expect(body.subarray(0, version.length)).toEqual(version);
  const changed = element(0x30, Buffer.from('a00402020002', 'hex'), body.subarray(version.length));
  const algorithm = bytes.subarray(8 + body.length, 8 + body.length + 2 + bytes[9 + body.length]!);
  const key = createPrivateKey({
    key: Buffer.from(await webcrypto.subtle.exportKey('pkcs8', by.keys.privateKey)),
    format: 'der',
    type: 'pkcs8',
  });
  const signature = sign('sha256', changed, key);
  const bits = Buffer.concat([Buffer.from([0x03, signature.length + 1, 0]), signature]);
  return readCertificate(element(0x30, changed, algorithm, bits));
};

const root = await issue({ name: 'Root', authority: true });
const maker = await issue({ name: 'Maker', authority: true, by: root });
const ek = await issue({ name: '', by: maker, forEndorsementKey: true });

describe('the certificate of an endorsement key', () => {
  test('leads over its issuers to a root', async () => {
    expect(await failure(ek, [maker], anchors([root]))).toEqual(['', 'CN=Maker', 'CN=Root']);
    expect(await failure(ek, [], anchors([root], { intermediates: [maker.certificate] }))).toHaveLength(3);
    expect(await failure(ek, [], anchors([maker]))).toHaveLength(2);
  });

  test('is understood with its critical directory name, and is for exactly one key', async () => {
    expect(ek.certificate.unknownCritical).toEqual([]);
    const area = publicFromKey(ek.publicKey, { nameAlg: 'sha256', attributes: 0x300b2, scheme: null });
    expect(certifies(ek.certificate, area)).toBe(true);
    const other = publicFromKey(maker.publicKey, { nameAlg: 'sha256', attributes: 0x300b2, scheme: null });
    expect(certifies(ek.certificate, other)).toBe(false);
  });

  test('is read with padding behind it, from PEM and from DER', () => {
    const padded = Buffer.concat([ek.certificate.bytes, Buffer.alloc(500, 0xff)]);
    expect(readCertificate(padded).fingerprint).toBe(ek.certificate.fingerprint);
    const pem = `-----BEGIN CERTIFICATE-----\n${root.certificate.bytes.toString('base64')}\n-----END CERTIFICATE-----\n`;
    expect(readCertificates(Buffer.from(pem + pem)).map(({ subjectText }) => subjectText)).toEqual([
      'CN=Root',
      'CN=Root',
    ]);
    expect(() => readCertificate(Buffer.from('no certificate'))).toThrow(
      expect.objectContaining({ code: 'CERTIFICATE_INVALID' }),
    );
    expect(() => readCertificate(Buffer.alloc(20_000, 0x30))).toThrow(
      expect.objectContaining({ code: 'CERTIFICATE_INVALID' }),
    );
  });

  test('is taken where it is encoded more loosely than DER allows, and that is said', async () => {
    const loose = await looselyEncoded(ek, maker);
    expect(loose.loose).toBe(true);
    const chain = await findChain(loose, [maker.certificate], anchors([root]), NOW);
    expect(chain).toMatchObject({ warnings: ['ek.certificate.loose'] });
  });

  const stranger = issue({ name: 'Root', authority: true });
  test.each<[string, () => Promise<unknown>, RegExp]>([
    ['no root that leads to it', () => failure(ek, [maker], anchors([])), /leads to no root/],
    ['an issuer that is not sent', () => failure(ek, [], anchors([root])), /leads to no root/],
    [
      'a root of the same name with another key',
      async () => failure(ek, [maker], anchors([await stranger])),
      /did not sign/,
    ],
    [
      'an issuer that is no authority',
      async () => {
        const plain = await issue({ name: 'Plain', by: root });
        return failure(await issue({ name: 'EK', by: plain, forEndorsementKey: true }), [plain], anchors([root]));
      },
      /not an authority/,
    ],
    [
      'an issuer below one that may have none',
      async () => {
        const narrow = await issue({ name: 'Narrow', authority: true, pathLength: 0, by: root });
        const below = await issue({ name: 'Below', authority: true, by: narrow });
        return failure(
          await issue({ name: 'EK', by: below, forEndorsementKey: true }),
          [below, narrow],
          anchors([root]),
        );
      },
      /may have 0 authorities below it/,
    ],
    [
      'a certificate for something else',
      async () => failure(await issue({ name: 'Web', by: root, purpose: '1.3.6.1.5.5.7.3.1' }), [], anchors([root])),
      /not for endorsement keys/,
    ],
    ['the certificate of an authority', () => failure(maker, [], anchors([root])), /of an authority/],
    [
      'a critical extension that nobody knows',
      async () =>
        failure(
          await issue({ name: 'EK', by: root, forEndorsementKey: true, critical: '1.2.3.4' }),
          [],
          anchors([root]),
        ),
      /critical extension 1.2.3.4/,
    ],
    ['a time before it', () => failure(ek, [maker], anchors([root]), NOW - 20 * YEAR), /valid from/],
    ['a time after it', () => failure(ek, [maker], anchors([root]), NOW + 20 * YEAR), /expired/],
  ])('is refused with %s', async (_what, attempt, why) => {
    expect(await attempt()).toMatch(why);
  });

  test('outlives its issuers only where the verifier lets it', async () => {
    const old = await issue({ name: 'Old', authority: true, by: root, until: NOW - YEAR });
    const leaf = await issue({ name: 'EK', by: old, forEndorsementKey: true });
    expect(await failure(leaf, [old], anchors([root]))).toMatch(/only$/);
    const chain = await findChain(
      leaf.certificate,
      [old.certificate],
      anchors([root], { allowExpiredIssuers: true }),
      NOW,
    );
    expect(chain).toMatchObject({ warnings: ['ek.certificate.expired-issuer'] });
  });

  test('ends in issuers that certify each other', async () => {
    const a = await issue({ name: 'A', authority: true });
    const b = await issue({ name: 'B', authority: true, by: a });
    const aByB = await issue({ name: 'A', authority: true, by: b, keys: a });
    const many: Certificate[] = [];
    for (let i = 0; i < 16; i++) many.push((await issue({ name: 'A', authority: true, by: b, keys: a })).certificate);
    const leaf = await issue({ name: 'EK', by: b, forEndorsementKey: true });
    expect(await failure(leaf, [b, aByB], anchors([root]))).toMatch(/leads to no root/);
    const wide = await findChain(leaf.certificate, [b.certificate, ...many], anchors([root]), NOW);
    expect(wide).toHaveProperty('failure');
  });
});

test('a set of roots has one name, whatever the order', () => {
  const { certificate: a } = root;
  const { certificate: b } = maker;
  expect(rootSetDigest([a, b])).toBe(rootSetDigest([b, a, b]));
  expect(rootSetDigest([a])).not.toBe(rootSetDigest([b]));
});
