import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type AttestationKeyKind, createAttestationKey } from '../../producers/attestation/keys/attestation-key.js';
import { chooseEk } from '../../producers/attestation/keys/ek.js';
import { activateCredential } from '../../producers/attestation/tpm/activate-credential.js';
import { certify, quote } from '../../producers/attestation/tpm/attestation.js';
import { pcrExtend, pcrRead } from '../../producers/attestation/tpm/pcr.js';
import { withScope } from '../../producers/attestation/tpm/scope.js';
import type { Tpm } from '../../producers/attestation/tpm/tpm.js';
import {
  parseAttest,
  TPM_GENERATED_VALUE,
  TPM_ST_ATTEST_CERTIFY,
  TPM_ST_ATTEST_QUOTE,
} from '../../schemas/tpm/attest.js';
import { marshalCredentialFile, parseCredentialFile } from '../../schemas/tpm/credential-file.js';
import { makeCredential } from '../../schemas/tpm/make-credential.js';
import { endorsementQualifiedName, objectName, qualifiedName } from '../../schemas/tpm/name.js';
import { pcrDigest } from '../../schemas/tpm/pcr-digest.js';
import { parsePublic, type TpmPublic } from '../../schemas/tpm/public.js';
import { publicKeyObject } from '../../schemas/tpm/public-key.js';
import { parseKeylimeQuote, parsePcrFile } from '../../schemas/tpm/quote-files.js';
import { unwrapSized } from '../../schemas/tpm/reader.js';
import { type PcrSelection, sameSelection, selectionFromText } from '../../schemas/tpm/selection.js';
import { parseSignature, signatureFits, verifySignature } from '../../schemas/tpm/signature.js';
import { looseHandles, type TestTpm, testTpm, withSwtpm } from '../support/swtpm.js';
import { temporaryFolder } from '../support/tmp.js';

const NONCE = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
const SELECTION: PcrSelection = selectionFromText('sha256:0,1,2,3,4,5,6,7,10,12+sha1:10');

const KINDS: readonly AttestationKeyKind[] = [
  { type: 'ecc', curve: 'nistp256', hash: 'sha256' },
  { type: 'ecc', curve: 'nistp384', hash: 'sha384' },
  { type: 'rsa', keyBits: 2048, scheme: 'rsassa', hash: 'sha256' },
  { type: 'rsa', keyBits: 2048, scheme: 'rsapss', hash: 'sha512' },
  { type: 'rsa', keyBits: 3072, scheme: 'rsassa', hash: 'sha384' },
];

withSwtpm('what a TPM signs', () => {
  const folder = temporaryFolder('tpm-quotes');
  let machine: TestTpm;
  let tpm: Tpm;
  beforeAll(async () => {
    machine = await testTpm(folder);
    tpm = await machine.open();
    await pcrExtend(tpm, 10, { sha1: Buffer.alloc(20, 1), sha256: Buffer.alloc(32, 2) });
  });
  afterEach(async () => {
    expect(await looseHandles(tpm)).toEqual([]);
  });

  const write = (name: string, content: Buffer | string): string => {
    writeFileSync(join(machine.folder, name), content);
    return name;
  };
  const read = (name: string): Buffer => readFileSync(join(machine.folder, name));
  const pem = (area: TpmPublic): string => String(publicKeyObject(area).export({ type: 'spki', format: 'pem' }));

  const hex = (handle: number): string => `0x${handle.toString(16)}`;

  describe.each(KINDS)('by our key of kind %j', (kind) => {
    test('is taken by tpm2_checkquote and by our own checks, and by neither once altered', async () => {
      await withScope(tpm, async (scope) => {
        const ek = await chooseEk(tpm, scope, { id: 'L-2' });
        const key = await createAttestationKey(tpm, scope, ek, kind);
        const { attest, signature } = await quote(tpm, key, NONCE, SELECTION);

        const parsed = parseAttest(attest);
        expect(parsed).toMatchObject({
          magic: TPM_GENERATED_VALUE,
          type: TPM_ST_ATTEST_QUOTE,
          trailing: 0,
          certify: null,
        });
        expect(parsed.extraData.equals(NONCE)).toBe(true);
        expect(parsed.qualifiedSigner.equals(key.qualifiedName)).toBe(true);
        expect(sameSelection(parsed.quote!.selection, SELECTION)).toBe(true);
        const { values } = await pcrRead(tpm, SELECTION);
        expect(parsed.quote!.pcrDigest.equals(pcrDigest(SELECTION, values, kind.hash)!)).toBe(true);
        const ours = parseSignature(signature);
        expect(signatureFits(key.public, ours)).toBe(true);
        expect(verifySignature(key.public, attest, ours)).toBe(true);

        const files = ['-m', write('quote', attest), '-s', write('sig', signature), '-g', kind.hash];
        if (kind.type === 'rsa' && kind.scheme === 'rsapss') {
          // Their check does not know this scheme; the TPM itself does.
          await scope.release(ek.handle);
          write(
            'ak.pub',
            Buffer.concat([Buffer.of(key.public.bytes.length >> 8, key.public.bytes.length), key.public.bytes]),
          );
          machine.tool('tpm2_loadexternal', '-C', 'n', '-u', 'ak.pub', '-c', 'verifier.ctx');
          machine.tool('tpm2_verifysignature', '-c', 'verifier.ctx', ...files);
          machine.tool('tpm2_flushcontext', '-t');
        } else {
          const check = (nonce: Buffer): string =>
            machine.tool(
              'tpm2_checkquote',
              '-u',
              write('ak.pem', pem(key.public)),
              ...files,
              '-q',
              nonce.toString('hex'),
            );
          expect(check(NONCE)).toMatch(/^sig: /);
          expect(() => check(Buffer.alloc(16))).toThrow();
        }
        const altered = Buffer.from(attest);
        altered[50]! ^= 1;
        expect(verifySignature(key.public, altered, ours)).toBe(false);
      });
    });
  });

  describe.each([
    { kind: 'ecc', scheme: [], sign: ['-G', 'ecc', '-g', 'sha256', '-s', 'ecdsa'] },
    { kind: 'rsa', scheme: [], sign: ['-G', 'rsa', '-g', 'sha256', '-s', 'rsassa'] },
    { kind: 'rsa', scheme: ['--scheme', 'rsapss'], sign: ['-G', 'rsa', '-g', 'sha256', '-s', 'rsapss'] },
  ])('by tpm2-tools with a key of $sign', ({ kind, scheme, sign }) => {
    test('is taken by our checks, in each form of their files', async () => {
      machine.tool('tpm2_createek', '-G', kind, '-c', 'ek.ctx', '-u', 'ek.pub');
      machine.tool('tpm2_createak', '-C', 'ek.ctx', '-c', 'ak.ctx', ...sign, '-u', 'ak.pub', '-n', 'ak.name');
      machine.tool('tpm2_flushcontext', '-t');
      const ak = parsePublic(unwrapSized(read('ak.pub')));
      const qn = qualifiedName(
        endorsementQualifiedName(objectName(parsePublic(unwrapSized(read('ek.pub'))))),
        objectName(ak),
      );
      expect(objectName(ak).equals(read('ak.name'))).toBe(true);
      const ask = (...more: string[]): void => {
        const what = ['-c', 'ak.ctx', '-l', 'sha256:0,10+sha1:10', '-q', NONCE.toString('hex')];
        machine.tool('tpm2_quote', ...what, '-m', 'msg', '-s', 'sig', '-o', 'pcrs', ...scheme, ...more);
        machine.tool('tpm2_flushcontext', '-t');
      };
      for (const form of ['serialized', 'values']) {
        ask('-F', form);
        const attest = parseAttest(read('msg'));
        expect(verifySignature(ak, read('msg'), parseSignature(read('sig')))).toBe(true);
        expect(attest.qualifiedSigner.equals(qn)).toBe(true);
        const { selection, pcrDigest: signed } = attest.quote!;
        expect(selection).toEqual(selectionFromText('sha256:0,10+sha1:10'));
        const values = parsePcrFile(read('pcrs'), selection);
        expect(pcrDigest(selection, values, 'sha256')!.equals(signed)).toBe(true);
      }
      ask('-F', 'serialized');
      const keylime = `r${['msg', 'sig', 'pcrs'].map((name) => read(name).toString('base64')).join(':')}`;
      const parts = parseKeylimeQuote(keylime);
      expect(verifySignature(ak, parts.message, parseSignature(parts.signature))).toBe(true);

      machine.tool('tpm2_createprimary', '-C', 'o', '-G', 'ecc', '-c', 'other.ctx');
      machine.tool('tpm2_readpublic', '-c', 'other.ctx', '-n', 'other.name');
      machine.tool('tpm2_flushcontext', '-t');
      machine.tool(
        'tpm2_certify',
        '-c',
        'other.ctx',
        '-C',
        'ak.ctx',
        '-g',
        'sha256',
        '-o',
        'cert',
        '-s',
        'cert.sig',
        ...scheme,
      );
      machine.tool('tpm2_flushcontext', '-t');
      const certified = parseAttest(read('cert'));
      expect(verifySignature(ak, read('cert'), parseSignature(read('cert.sig')))).toBe(true);
      expect(certified.certify!.name.equals(read('other.name'))).toBe(true);
      expect(certified.qualifiedSigner.equals(qn)).toBe(true);
    });
  });

  test.each(['L-1', 'L-2'])('a credential for EK %s is opened whichever of us made it', async (id) => {
    await withScope(tpm, async (scope) => {
      const ek = await chooseEk(tpm, scope, { id });
      const key = await createAttestationKey(tpm, scope, ek);
      const secret = write('secret', '0123456789abcdef0123456789abcdef');
      const name = key.name.toString('hex');
      const area = Buffer.concat([Buffer.of(0, ek.public.bytes.length), ek.public.bytes]);
      area.writeUInt16BE(ek.public.bytes.length, 0);
      machine.tool(
        'tpm2_makecredential',
        '-T',
        'none',
        '-e',
        write('ek.pub', area),
        '-s',
        secret,
        '-n',
        name,
        '-o',
        'cred',
      );
      const theirs = parseCredentialFile(read('cred'));
      const endorsement = { handle: ek.handle, authorisation: await ek.authorise() };
      expect((await activateCredential(tpm, key, endorsement, theirs)).equals(read('secret'))).toBe(true);

      write('cred', marshalCredentialFile(makeCredential(ek.public, key.name, read('secret'))));
      machine.tool('tpm2_startauthsession', '--policy-session', '-S', 'session.ctx');
      machine.tool('tpm2_policysecret', '-S', 'session.ctx', '-c', 'e');
      const handles = ['-c', hex(key.handle), '-C', hex(ek.handle), '-P', 'session:session.ctx'];
      machine.tool('tpm2_activatecredential', ...handles, '-i', 'cred', '-o', 'opened');
      machine.tool('tpm2_flushcontext', 'session.ctx');
      expect(read('opened').equals(read('secret'))).toBe(true);
    });
  });

  test('TPM2_Certify names the object, and is taken by our checks', async () => {
    await withScope(tpm, async (scope) => {
      const ek = await chooseEk(tpm, scope, { id: 'L-2' });
      const first = await createAttestationKey(tpm, scope, ek);
      const second = await createAttestationKey(tpm, scope, ek, {
        type: 'rsa',
        keyBits: 2048,
        scheme: 'rsassa',
        hash: 'sha256',
      });
      const { attest, signature } = await certify(tpm, second, first, NONCE);
      const parsed = parseAttest(attest);
      expect(parsed).toMatchObject({
        magic: TPM_GENERATED_VALUE,
        type: TPM_ST_ATTEST_CERTIFY,
        trailing: 0,
        quote: null,
      });
      expect(parsed.certify!.name.equals(second.name)).toBe(true);
      expect(parsed.certify!.qualifiedName.equals(second.qualifiedName)).toBe(true);
      expect(parsed.qualifiedSigner.equals(first.qualifiedName)).toBe(true);
      expect(verifySignature(first.public, attest, parseSignature(signature))).toBe(true);
      expect(verifySignature(second.public, attest, parseSignature(signature))).toBe(false);
    });
  });
});
