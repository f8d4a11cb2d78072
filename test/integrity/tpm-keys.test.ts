import { X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { aik1, evictAik1, findAik1 } from '../../producers/attestation/keys/aik1.js';
import {
  type AttestationKeyKind,
  attestationKeyTemplate,
  createAik2,
  createAttestationKey,
} from '../../producers/attestation/keys/attestation-key.js';
import { chooseEk, createEk } from '../../producers/attestation/keys/ek.js';
import {
  certificateFromNv,
  certificatesFromFile,
  chainFromNv,
} from '../../producers/attestation/keys/ek-certificate.js';
import { activateCredential } from '../../producers/attestation/tpm/activate-credential.js';
import { certify, quote } from '../../producers/attestation/tpm/attestation.js';
import { TPM_RH } from '../../producers/attestation/tpm/handle.js';
import { hierarchyChangeAuth } from '../../producers/attestation/tpm/hierarchy.js';
import { NV_ATTRIBUTES, nvDefineSpace, nvUndefineSpace, nvWrite } from '../../producers/attestation/tpm/nv.js';
import { create, evictControl, load, readPublic } from '../../producers/attestation/tpm/object.js';
import { withScope } from '../../producers/attestation/tpm/scope.js';
import { password } from '../../producers/attestation/tpm/session.js';
import type { Tpm } from '../../producers/attestation/tpm/tpm.js';
import { ATTESTATION_KEY, attestationKeyFaults, OBJECT_ATTRIBUTES } from '../../schemas/tpm/attributes.js';
import { EK_TEMPLATES, ekTemplateOf } from '../../schemas/tpm/ek-template.js';
import { makeCredential } from '../../schemas/tpm/make-credential.js';
import { marshalPublic } from '../../schemas/tpm/marshal-public.js';
import { parsePublic, type RsaPublic } from '../../schemas/tpm/public.js';
import { publicKeyObject } from '../../schemas/tpm/public-key.js';
import { looseHandles, type TestTpm, testTpm, withSwtpm } from '../support/swtpm.js';
import { temporaryFolder } from '../support/tmp.js';

const SECRET = Buffer.from('the secret of an enrolment......');
const OWNED = NV_ATTRIBUTES.ownerWrite | NV_ATTRIBUTES.ownerRead | NV_ATTRIBUTES.authRead | NV_ATTRIBUTES.noDA;

withSwtpm('keys of a TPM', () => {
  const folder = temporaryFolder('tpm-keys');
  let machine: TestTpm;
  let tpm: Tpm;
  beforeAll(async () => {
    machine = await testTpm(folder);
    tpm = await machine.open();
  });
  afterEach(async () => {
    expect(await looseHandles(tpm)).toEqual([]);
  });

  /** Content at an NV index for as long as the work takes. */
  const withNv = async (contents: Readonly<Record<number, Buffer>>, work: () => Promise<void>): Promise<void> => {
    const entries = Object.entries(contents).map(([index, content]) => [Number(index), content] as const);
    for (const [index, content] of entries) {
      const area = { index, nameAlg: 'sha256', attributes: OWNED, authPolicy: Buffer.alloc(0), size: content.length };
      await nvDefineSpace(tpm, area);
      await nvWrite(tpm, index, content);
    }
    try {
      await work();
    } finally {
      for (const [index] of entries) await nvUndefineSpace(tpm, index);
    }
  };

  describe.each(EK_TEMPLATES.filter(({ id }) => id !== 'H-7'))('endorsement key $id', (standard) => {
    test('is of its template, wraps attestation keys, and opens what is made for them', async () => {
      await withScope(tpm, async (scope) => {
        const ek = await createEk(tpm, scope, standard);
        expect(ekTemplateOf(ek.public)?.id).toBe(standard.id);
        expect((await readPublic(tpm, ek.handle)).qualifiedName.equals(ek.qualifiedName)).toBe(true);
        const key = await createAik2(tpm, scope, ek);
        const told = await readPublic(tpm, key.handle);
        expect(told.name.equals(key.name)).toBe(true);
        expect(told.qualifiedName.equals(key.qualifiedName)).toBe(true);
        const made = makeCredential(ek.public, key.name, SECRET);
        const open = async (credential: typeof made): Promise<Buffer> =>
          activateCredential(tpm, key, { handle: ek.handle, authorisation: await ek.authorise() }, credential);
        expect((await open(made)).equals(SECRET)).toBe(true);
        const name = Buffer.from(key.name);
        name[9]! ^= 1;
        const other = makeCredential(ek.public, name, SECRET);
        await expect(open(other)).rejects.toMatchObject({ message: expect.stringContaining('TPM_RC_INTEGRITY') });
      });
    });
  });

  test('the certificates that the maker wrote are for these very keys', async () => {
    const issuer = new X509Certificate(readFileSync(machine.issuerCertificate));
    for (const id of ['L-1', 'H-3'])
      await withScope(tpm, async (scope) => {
        const ek = await chooseEk(tpm, scope, { id });
        const der = await certificateFromNv(tpm, ek.standard.certificateIndex);
        const certificate = new X509Certificate(der!);
        expect(certificate.publicKey.equals(publicKeyObject(ek.public))).toBe(true);
        expect(certificate.verify(issuer.publicKey)).toBe(true);
      });
    expect(await certificateFromNv(tpm, 0x01c0000a)).toBeNull();
  });

  test('a key with a certificate is chosen before one without, then by what the TPM has', async () => {
    const chosen = (wanted: Parameters<typeof chooseEk>[2]): Promise<string> =>
      withScope(tpm, async (scope) => (await chooseEk(tpm, scope, wanted)).standard.id);
    expect(await chosen({})).toBe('L-1');
    expect(await chosen({ kind: 'ecc' })).toBe('H-3');
    expect(await chosen({ id: 'L-2' })).toBe('L-2');
    await expect(chosen({ id: 'L-9' })).rejects.toMatchObject({ code: 'USAGE' });
    // A template of RSA with 1000 bits, which no TPM has: the next one is taken.
    const odd = EK_TEMPLATES.find(({ id }) => id === 'L-1')!;
    const template = marshalPublic({ ...odd.fields, type: 'rsa', keyBits: 1000 } as RsaPublic);
    await withNv({ [odd.templateIndex]: template }, async () => {
      expect(await chosen({})).toBe('H-3');
      await expect(chosen({ id: 'L-1' })).rejects.toMatchObject({ message: expect.stringContaining('TPM_RC_VALUE') });
    });
  });

  /** The EK with this nonce, as tpm2_createprimary makes it: `unique` as the structures lie in its memory. */
  const oracle = (nonce: Buffer): Buffer => {
    const coordinate = (bytes: Buffer): Buffer =>
      Buffer.concat([Buffer.of(32, 0), bytes, Buffer.alloc(128 - bytes.length)]);
    writeFileSync(join(machine.folder, 'unique'), Buffer.concat([coordinate(nonce), coordinate(Buffer.alloc(0))]));
    writeFileSync(join(machine.folder, 'policy'), EK_TEMPLATES[0]!.fields.authPolicy);
    machine.tool(
      'tpm2_createprimary',
      ...['-C', 'e', '-g', 'sha256', '-G', 'ecc256:null:aes128cfb', '-L', 'policy', '-u', 'unique', '-c', 'ek.ctx'],
      ...['-a', 'fixedtpm|fixedparent|sensitivedataorigin|adminwithpolicy|restricted|decrypt'],
    );
    machine.tool('tpm2_readpublic', '-c', 'ek.ctx', '-o', 'ek.pub');
    machine.tool('tpm2_flushcontext', '-t');
    return readFileSync(join(machine.folder, 'ek.pub')).subarray(2);
  };

  test("the maker's nonce and template in NV are honoured", async () => {
    const standard = EK_TEMPLATES.find(({ id }) => id === 'L-2')!;
    const nonce = Buffer.from('a nonce of the maker of this TPM');
    const made = (): Promise<Buffer> =>
      withScope(tpm, async (scope) => (await createEk(tpm, scope, standard)).public.bytes);
    const plain = await made();
    await withNv(
      { [standard.nonceIndex!]: nonce, [standard.templateIndex]: marshalPublic(standard.fields) },
      async () => {
        expect((await made()).equals(oracle(nonce))).toBe(true);
      },
    );
    await withNv({ [standard.nonceIndex!]: nonce }, async () => {
      expect((await made()).equals(oracle(nonce))).toBe(true);
    });
    expect(oracle(nonce).equals(plain)).toBe(false);
    await withNv({ [standard.nonceIndex!]: nonce.subarray(0, 9) }, async () => {
      const area = parsePublic(await made());
      expect(area.bytes.equals(plain)).toBe(false);
      expect(ekTemplateOf(area)?.id).toBe('L-2');
    });
    await withNv({ [standard.nonceIndex!]: Buffer.alloc(33) }, () =>
      expect(made()).rejects.toMatchObject({ code: 'TPM_BLOB_INVALID' }),
    );
    await withNv({ [standard.templateIndex]: Buffer.from('no template at all') }, () =>
      expect(made()).rejects.toMatchObject({ code: 'TPM_BLOB_INVALID' }),
    );
    machine.tool('tpm2_createek', '-G', 'ecc', '-c', 'ek.ctx', '-u', 'ek.pub');
    machine.tool('tpm2_flushcontext', '-t');
    expect((await made()).equals(readFileSync(join(machine.folder, 'ek.pub')).subarray(2))).toBe(true);
  });

  test('a certificate that is padded, or goes on in the next index, is read whole', async () => {
    const der = (await certificateFromNv(tpm, 0x01c00002))!;
    const padded = Buffer.concat([der, Buffer.alloc(60, 0xff)]);
    await withNv({ 29360168: padded }, async () => {
      expect((await certificateFromNv(tpm, 0x01c00028))!.equals(der)).toBe(true);
    });
    const split = { 29360168: der.subarray(0, 400), 29360169: der.subarray(400, 800) };
    await withNv({ ...split, 29360170: Buffer.concat([der.subarray(800), Buffer.alloc(9)]) }, async () => {
      expect((await certificateFromNv(tpm, 0x01c00028))!.equals(der)).toBe(true);
    });
    await withNv(split, async () => {
      await expect(certificateFromNv(tpm, 0x01c00028)).rejects.toMatchObject({
        code: 'TPM_BLOB_INVALID',
        message: expect.stringContaining(`${der.length} bytes ends after 800`),
      });
    });
    await withNv({ 29360168: Buffer.from('nothing of the kind') }, async () => {
      await expect(certificateFromNv(tpm, 0x01c00028)).rejects.toMatchObject({ code: 'TPM_BLOB_INVALID' });
    });
  });

  test("the maker's chain lies over several indices, and files hold certificates in either form", async () => {
    const root = new X509Certificate(readFileSync(machine.rootCertificate)).raw;
    const issuer = new X509Certificate(readFileSync(machine.issuerCertificate)).raw;
    const both = Buffer.concat([issuer, root]);
    const indices = { 29360384: both.subarray(0, 700), 29360385: Buffer.concat([both.subarray(700), Buffer.of(0)]) };
    await withNv(indices, async () => {
      const chain = await chainFromNv(tpm, new Set(Object.keys(indices).map(Number)));
      expect(chain.map((der) => der.equals(issuer) || der.equals(root))).toEqual([true, true]);
    });
    expect(await chainFromNv(tpm, new Set())).toEqual([]);
    // For the platform's own eyes: the others are read all the same.
    const attributes = NV_ATTRIBUTES.ownerWrite | NV_ATTRIBUTES.ppRead | NV_ATTRIBUTES.noDA;
    const hidden = { index: 0x01c00100, nameAlg: 'sha256', attributes, authPolicy: Buffer.alloc(0), size: 8 };
    await nvDefineSpace(tpm, hidden);
    await nvWrite(tpm, hidden.index, Buffer.alloc(8));
    await withNv({ 29360385: root }, async () => {
      expect(await chainFromNv(tpm, new Set([0x01c00100, 0x01c00101]))).toEqual([root]);
    });
    await nvUndefineSpace(tpm, hidden.index);
    const [pem] = await certificatesFromFile(machine.rootCertificate);
    expect(pem!.equals(root)).toBe(true);
    const file = join(folder, 'issuer.der');
    writeFileSync(file, issuer);
    expect((await certificatesFromFile(file))[0]!.equals(issuer)).toBe(true);
    writeFileSync(file, 'neither');
    await expect(certificatesFromFile(file)).rejects.toMatchObject({ code: 'USAGE' });
    await expect(certificatesFromFile('/dev/zero')).rejects.toMatchObject({ code: 'USAGE' });
    await expect(certificatesFromFile(join(folder, 'absent'))).rejects.toMatchObject({ code: 'USAGE' });
  });

  test('AIK1 is made once, survives, and is found again only where it is what it should be', async () => {
    await withScope(tpm, async (scope) => {
      const ek = await chooseEk(tpm, scope);
      expect(await findAik1(tpm, ek)).toBeNull();
      const made = await aik1(tpm, scope, ek);
      expect(made.public.attributes).toBe(ATTESTATION_KEY);
      const again = await aik1(tpm, scope, ek);
      expect(again.name.equals(made.name)).toBe(true);
      expect(again.qualifiedName.equals(made.qualifiedName)).toBe(true);
      const other = await createEk(tpm, scope, EK_TEMPLATES.find(({ id }) => id === 'L-2')!);
      await expect(findAik1(tpm, other)).rejects.toMatchObject({
        code: 'USAGE',
        message: expect.stringContaining('not a child of this EK'),
      });
      await evictAik1(tpm);
      expect(await findAik1(tpm, ek)).toBeNull();
      const attributes = ATTESTATION_KEY & ~OBJECT_ATTRIBUTES.restricted;
      const template = attestationKeyTemplate({ type: 'ecc', curve: 'nistp256', hash: 'sha256' }, attributes);
      const wrapped = await create(tpm, ek.handle, { template, authorisation: await ek.authorise() });
      const loose = await load(tpm, scope, ek.handle, wrapped, await ek.authorise());
      await evictControl(tpm, loose.handle, 0x81020001);
      await scope.release(loose.handle);
      await scope.release(other.handle);
      await expect(findAik1(tpm, ek)).rejects.toMatchObject({ message: expect.stringContaining('not restricted') });
      await evictAik1(tpm);
    });
  });

  const KINDS: readonly AttestationKeyKind[] = [
    { type: 'ecc', curve: 'nistp256', hash: 'sha256' },
    { type: 'ecc', curve: 'nistp384', hash: 'sha384' },
    { type: 'rsa', keyBits: 2048, scheme: 'rsassa', hash: 'sha256' },
    { type: 'rsa', keyBits: 2048, scheme: 'rsapss', hash: 'sha256' },
  ];
  test.each(KINDS)('an attestation key of kind %j has no fault and is its parent’s child', async (kind) => {
    await withScope(tpm, async (scope) => {
      const ek = await chooseEk(tpm, scope, { id: 'L-2' });
      const key = await createAttestationKey(tpm, scope, ek, kind);
      expect(attestationKeyFaults(key.public.attributes)).toEqual([]);
      expect((await readPublic(tpm, key.handle)).qualifiedName.equals(key.qualifiedName)).toBe(true);
    });
  });

  test('AIK2 signs only for who knows its value', async () => {
    await withScope(tpm, async (scope) => {
      const ek = await chooseEk(tpm, scope, { id: 'L-2' });
      const key = await createAik2(tpm, scope, ek);
      const nobody = { handle: key.handle, authorisation: password() };
      await expect(quote(tpm, nobody, SECRET, [{ hash: 'sha256', pcrs: [0] }])).rejects.toMatchObject({
        message: expect.stringContaining('TPM_RC_BAD_AUTH'),
      });
      await expect(certify(tpm, key, nobody, SECRET)).rejects.toMatchObject({ code: 'TPM_COMMAND_FAILED' });
      expect((await certify(tpm, key, key, SECRET)).attest.length).toBeGreaterThan(0);
    });
  });

  test('an endorsement hierarchy with an authorisation value serves who knows it', async () => {
    const endorsement = Buffer.from('of the endorsement hierarchy');
    await hierarchyChangeAuth(tpm, TPM_RH.ENDORSEMENT, password(), endorsement);
    try {
      await withScope(tpm, async (scope) => {
        await expect(chooseEk(tpm, scope)).rejects.toMatchObject({ message: expect.stringContaining('BAD_AUTH') });
        const ek = await chooseEk(tpm, scope, { id: 'L-1' }, { endorsement });
        expect((await createAik2(tpm, scope, ek)).public.type).toBe('ecc');
      });
    } finally {
      await hierarchyChangeAuth(tpm, TPM_RH.ENDORSEMENT, password(endorsement), Buffer.alloc(0));
    }
  });
});
