import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { ekDigest } from '../../../processors/run/enrolment/endorsement-key.js';
import { type EnrolmentRecord, EnrolmentResponder, type Reply } from '../../../processors/run/enrolment/responder.js';
import { hostId } from '../../../schemas/evidence/enrolment.js';
import { pinnedKeys, signRecord, verifierId } from '../../../schemas/signed.js';
import { ATTESTATION_KEY, OBJECT_ATTRIBUTES } from '../../../schemas/tpm/attributes.js';
import { EK_TEMPLATES } from '../../../schemas/tpm/ek-template.js';
import { activateCredential } from '../../../schemas/tpm/make-credential.js';
import { publicFromKey } from '../../../schemas/tpm/marshal-public.js';
import { objectName } from '../../../schemas/tpm/name.js';
import type { TpmPublic } from '../../../schemas/tpm/public.js';

const signer = (): KeyObject => generateKeyPairSync('ed25519').privateKey;
const [verifier, operator, stranger] = [signer(), signer(), signer()];
const ekPair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const aikPair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const { fields } = EK_TEMPLATES.find(({ id }) => id === 'L-2')!;
const ek = publicFromKey(ekPair.publicKey, fields);
const scheme = { algorithm: 'ecdsa', hash: 'sha256' };
const aik = (attributes = ATTESTATION_KEY, more: object = {}): TpmPublic =>
  publicFromKey(aikPair.publicKey, { nameAlg: 'sha256', attributes, scheme, ...more });
const host = hostId(objectName(ek));

const found = (name: string, record: object, key = host): EnrolmentRecord =>
  ({ name, record, key, partition: 0, offset: 0, timestamp: Date.UTC(2026, 0, 1) }) as unknown as EnrolmentRecord;
const tick = (number: number): EnrolmentRecord => found('Tick', { verifierId: verifierId(verifier), number });
const request = (aik1Public = aik().bytes, requestId = randomBytes(16), ekPublic = ek.bytes): EnrolmentRecord =>
  found('EnrolRequest', { requestId, label: 'pump', ekCertificates: [], ekPublic, aik1Public });
const approval = (by: KeyObject, ekSpki = Buffer.from(ekDigest(ek), 'hex'), rootSet = ''): EnrolmentRecord =>
  found('Approval', signRecord('Approval', { number: 0, issued: 0, label: 'pump 7', ekSpki, rootSet }, by), '');

const setUp = () => {
  const notes: string[] = [];
  const responder = new EnrolmentResponder({
    verifierId: verifierId(verifier),
    keys: pinnedKeys([operator, verifier]),
    anchors: { roots: [], intermediates: [], allowExpiredIssuers: false },
    patience: 3,
    onNote: (note) => notes.push(note),
  });
  const challenge = async (...records: EnrolmentRecord[]): Promise<readonly Reply[]> => {
    for (const record of records) responder.note(record);
    return responder.weigh();
  };
  return { responder, challenge, notes };
};

const challengeIn = (replies: readonly Reply[]) => {
  const [reply] = replies;
  if (reply?.name !== 'EnrolChallenge') throw new Error('no challenge');
  return reply.record;
};
const answerTo = (asked: EnrolmentRecord, secret: Buffer) =>
  found('EnrolAnswer', { requestId: (asked.record as { requestId: Buffer }).requestId, secret }) as EnrolmentRecord & {
    readonly name: 'EnrolAnswer';
  };

describe('a verifier', () => {
  test('challenges an approved key and enrols whoever opens the challenge', async () => {
    const { responder, challenge } = setUp();
    const asked = request();
    const made = challengeIn(await challenge(tick(5), asked, approval(operator)));
    expect(made).toMatchObject({ host, expires: 8 });
    const secret = activateCredential(ek, ekPair.privateKey, objectName(aik()), made);
    expect(await responder.answer(answerTo(asked, secret))).toMatchObject({
      name: 'Enrolled',
      record: {
        host,
        label: 'pump 7',
        basis: 'approved',
        anchors: [`sha256:${ekDigest(ek)}`],
        notChecked: ['ek.certificate'],
      },
    });
    // Once is enough.
    expect(await responder.answer(answerTo(asked, secret))).toBeNull();
  });

  test('challenges each request once, also after it began anew from the log', async () => {
    const { challenge } = setUp();
    const asked = request();
    const replies = await challenge(asked, approval(operator));
    expect(replies).toHaveLength(1);
    expect(await challenge()).toHaveLength(0);
    const again = setUp();
    const said = found('EnrolChallenge', signRecord('EnrolChallenge', challengeIn(replies), verifier));
    expect(await again.challenge(asked, approval(operator), said)).toHaveLength(0);
    const secret = activateCredential(ek, ekPair.privateKey, objectName(aik()), challengeIn(replies));
    expect(await again.responder.answer(answerTo(asked, secret))).toMatchObject({ name: 'Enrolled' });
  });

  test.each<[string, () => EnrolmentRecord[]]>([
    ['nobody approved it', () => [request()]],
    ['a stranger approved it', () => [request(), approval(stranger)]],
    ['another key was approved', () => [request(), approval(operator, Buffer.alloc(32, 1))]],
    [
      'roots were approved that it does not lead to',
      () => [request(), approval(operator, Buffer.alloc(0), 'sha256:00')],
    ],
  ])('waits where %s', async (_why, records) => {
    const { challenge, notes } = setUp();
    expect(await challenge(...records())).toEqual([]);
    expect(notes.join('\n')).toContain(`waits for an approval of its endorsement key ${ekDigest(ek)}`);
  });

  const without = (attribute: keyof typeof OBJECT_ATTRIBUTES): Buffer =>
    aik(ATTESTATION_KEY & ~OBJECT_ATTRIBUTES[attribute]).bytes;
  const other = publicFromKey(aikPair.publicKey, { ...fields, attributes: fields.attributes | OBJECT_ATTRIBUTES.sign });
  test.each<[string, EnrolmentRecord, RegExp]>([
    ['is not restricted', request(without('restricted')), /not restricted/],
    ['can leave its TPM', request(without('fixedTPM')), /not fixedTPM/],
    ['can be given another parent', request(without('fixedParent')), /not fixedParent/],
    ['was brought from outside', request(without('sensitiveDataOrigin')), /not sensitiveDataOrigin/],
    ['decrypts', request(aik(ATTESTATION_KEY | OBJECT_ATTRIBUTES.decrypt).bytes), /decrypt/],
    ['has no scheme', request(aik(ATTESTATION_KEY, { scheme: null }).bytes), /whatever is asked/],
    ['signs over SHA-1', request(aik(ATTESTATION_KEY, { scheme: { algorithm: 'ecdsa', hash: 'sha1' } }).bytes), /sha1/],
    ['is no key', request(Buffer.from('00'.repeat(40), 'hex')), /TPMT_PUBLIC/],
    [
      'stands under an endorsement key that may sign',
      request(aik().bytes, randomBytes(16), other.bytes),
      /no known template/,
    ],
  ])('refuses an attestation key that %s', async (_why, record, note) => {
    const { responder, challenge, notes } = setUp();
    expect(await challenge(record, approval(operator))).toEqual([]);
    expect(notes.join('\n')).toMatch(note);
    expect(responder.refusals()).toMatchObject([
      { name: 'Request', host, record: { kind: 'enrol-refused', number: 4095, reason: expect.stringMatching(note) } },
    ]);
    expect(responder.refusals()).toEqual([]);
  });

  test('refuses records that are not named after their key', async () => {
    const { challenge, notes } = setUp();
    const asked = request();
    expect(await challenge({ ...asked, key: 'ab'.repeat(32) }, approval(operator))).toEqual([]);
    expect(notes.join('\n')).toMatch(/not named after/);
  });

  test('refuses a wrong answer, and one that comes too late', async () => {
    const { responder, challenge, notes } = setUp();
    const asked = request();
    await challenge(tick(5), asked, approval(operator));
    expect(await responder.answer(answerTo(asked, Buffer.alloc(32)))).toBeNull();
    const late = request();
    const made = challengeIn(await challenge(late));
    const secret = activateCredential(ek, ekPair.privateKey, objectName(aik()), made);
    responder.note(tick(9));
    expect(await responder.answer(answerTo(late, secret))).toBeNull();
    expect(notes.join('\n')).toMatch(/answer is wrong[\s\S]*too late/);
  });

  test('refuses a host that an operator revoked, and not one that a stranger did', async () => {
    const revoked = (by: KeyObject): EnrolmentRecord =>
      found('Revoked', signRecord('Revoked', { number: 0, issued: 0, host, reason: '' }, by), '');
    expect(await setUp().challenge(request(), approval(operator), revoked(stranger))).toHaveLength(1);
    expect(await setUp().challenge(request(), approval(operator), revoked(operator))).toHaveLength(0);
  });
});
