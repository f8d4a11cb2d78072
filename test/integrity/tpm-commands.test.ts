import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, test } from '@jest/globals';
import {
  capabilityAlgorithms,
  capabilityCurves,
  capabilityHandles,
  capabilityPcrBanks,
  capabilityProperty,
  TPM_PT,
} from '../../producers/attestation/tpm/capability.js';
import { HANDLE_RANGE, TPM_RH } from '../../producers/attestation/tpm/handle.js';
import { hierarchyChangeAuth } from '../../producers/attestation/tpm/hierarchy.js';
import {
  NV_ATTRIBUTES,
  nvDefineSpace,
  nvRead,
  nvReadPublic,
  nvUndefineSpace,
  nvWrite,
} from '../../producers/attestation/tpm/nv.js';
import { createPrimary, loadExternal, readPublic } from '../../producers/attestation/tpm/object.js';
import { pcrExtend, pcrRead, pcrReset } from '../../producers/attestation/tpm/pcr.js';
import { getRandom } from '../../producers/attestation/tpm/random.js';
import { withScope } from '../../producers/attestation/tpm/scope.js';
import { password, startPolicySession } from '../../producers/attestation/tpm/session.js';
import type { Tpm } from '../../producers/attestation/tpm/tpm.js';
import { EK_TEMPLATES } from '../../schemas/tpm/ek-template.js';
import { marshalPublic } from '../../schemas/tpm/marshal-public.js';
import { objectName } from '../../schemas/tpm/name.js';
import { looseHandles, type TestTpm, testTpm, withSwtpm } from '../support/swtpm.js';
import { temporaryFolder } from '../support/tmp.js';

withSwtpm('TPM commands', () => {
  const folder = temporaryFolder('tpm-commands');
  let machine: TestTpm;
  let tpm: Tpm;
  beforeAll(async () => {
    machine = await testTpm(folder, 'tpm', { banks: ['sha1', 'sha256', 'sha384'] });
    tpm = await machine.open();
  });
  afterEach(async () => {
    expect(await looseHandles(tpm)).toEqual([]);
  });

  const ekTemplate = marshalPublic(EK_TEMPLATES[0]!.fields);

  test('capabilities are those that tpm2_getcap tells', async () => {
    const hex = (handle: number): string => `0x${handle.toString(16).toUpperCase()}`;
    const list = (handles: readonly number[]): string => handles.map((handle) => `- ${hex(handle)}\n`).join('');
    const nv = await capabilityHandles(tpm, HANDLE_RANGE.nv);
    expect(list(nv)).toBe(machine.tool('tpm2_getcap', 'handles-nv-index'));
    expect(nv.length).toBeGreaterThan(1);
    const persistent = await capabilityHandles(tpm, HANDLE_RANGE.persistent);
    expect(list(persistent)).toBe(machine.tool('tpm2_getcap', 'handles-persistent'));
    const banks = await capabilityPcrBanks(tpm);
    const used = Object.fromEntries(banks.map(({ hash, pcrs }) => [hash, pcrs.length]));
    expect(used).toEqual({ sha1: 24, sha256: 24, sha384: 24, sha512: 0 });
    const told = machine.tool('tpm2_getcap', 'algorithms');
    const names = await capabilityAlgorithms(tpm);
    expect(names).toEqual(expect.arrayContaining(['rsa', 'ecc', 'sha384', 'ecdsa', 'rsapss']));
    expect(names.length).toBe([...told.matchAll(/^\S+:$/gm)].length);
    expect(await capabilityCurves(tpm)).toEqual(['nistp256', 'nistp384', 'nistp521']);
    const fixed = machine.tool('tpm2_getcap', 'properties-fixed');
    const buffer = /TPM2_PT_NV_BUFFER_MAX:\s+raw: (0x[0-9A-Fa-f]+)/.exec(fixed)?.[1];
    expect(await capabilityProperty(tpm, TPM_PT.nvBufferMax)).toBe(Number(buffer));
    expect(await capabilityProperty(tpm, 0x1ff)).toBeNull();
  });

  test('random bytes come in the number asked for, and not twice', async () => {
    const bytes = await getRandom(tpm, 100);
    expect(bytes).toHaveLength(100);
    expect((await getRandom(tpm, 100)).equals(bytes)).toBe(false);
    expect(await getRandom(tpm, 0)).toHaveLength(0);
  });

  test('all registers of all banks are read in as many commands as it takes', async () => {
    const digest = (hash: string): Buffer => createHash(hash).update('measured').digest();
    await pcrExtend(tpm, 12, { sha1: digest('sha1'), sha256: digest('sha256'), sha384: digest('sha384') });
    const all = Array.from({ length: 24 }, (_, pcr) => pcr);
    const selection = ['sha1', 'sha256', 'sha384', 'sha512'].map((hash) => ({ hash, pcrs: all }));
    const { values, changed } = await pcrRead(tpm, selection);
    expect(values).toHaveLength(72);
    expect(changed).toBe(false);
    const told = machine.tool('tpm2_pcrread', 'sha1:all+sha256:all+sha384:all');
    const theirs = [...told.matchAll(/0x([0-9A-F]+)/g)].map(([, value]) => value);
    expect(values.map(({ value }) => value.toString('hex').toUpperCase())).toEqual(theirs);
    const extended = createHash('sha256').update(Buffer.alloc(32)).update(digest('sha256')).digest();
    expect(values.find(({ hash, pcr }) => hash === 'sha256' && pcr === 12)!.value.equals(extended)).toBe(true);
  });

  test('a register that cannot be reset is not, and the refusal says why by name', async () => {
    await pcrExtend(tpm, 23, { sha256: Buffer.alloc(32, 1) });
    await pcrReset(tpm, 23);
    const { values } = await pcrRead(tpm, [{ hash: 'sha256', pcrs: [23] }]);
    expect(values[0]!.value.equals(Buffer.alloc(32))).toBe(true);
    await expect(pcrReset(tpm, 12)).rejects.toMatchObject({
      code: 'TPM_COMMAND_FAILED',
      message: expect.stringMatching(/^TPM2_PCR_Reset: TPM_RC_LOCALITY: /),
    });
    await expect(pcrExtend(tpm, 12, { sha256: Buffer.alloc(20) })).rejects.toMatchObject({ code: 'USAGE' });
  });

  test('an NV index larger than one command carries is written and read whole', async () => {
    const index = 0x01500001;
    const content = await getRandom(tpm, 2000);
    const attributes = NV_ATTRIBUTES.ownerWrite | NV_ATTRIBUTES.ownerRead | NV_ATTRIBUTES.noDA;
    const area = { index, nameAlg: 'sha256', attributes, authPolicy: Buffer.alloc(0), size: 2000 };
    expect(await nvReadPublic(tpm, index)).toBeNull();
    expect(await nvRead(tpm, index)).toBeNull();
    await nvDefineSpace(tpm, area);
    // Defined, but nothing was ever written.
    expect(await nvRead(tpm, index)).toBeNull();
    await nvWrite(tpm, index, content);
    expect((await nvRead(tpm, index))!.equals(content)).toBe(true);
    machine.tool('tpm2_nvread', '-C', 'o', '-o', 'nv.bin', '0x1500001');
    expect(readFileSync(join(machine.folder, 'nv.bin')).equals(content)).toBe(true);
    expect(await nvReadPublic(tpm, index)).toMatchObject({ ...area, attributes: attributes | NV_ATTRIBUTES.written });
    await nvUndefineSpace(tpm, index);
    expect(await nvReadPublic(tpm, index)).toBeNull();
  });

  test('names and qualified names are those that tpm2_readpublic tells', async () => {
    await withScope(tpm, async (scope) => {
      const ek = await createPrimary(tpm, scope, TPM_RH.ENDORSEMENT, { template: ekTemplate });
      const read = await readPublic(tpm, ek.handle);
      expect(read.name.equals(objectName(ek.public))).toBe(true);
      const told = machine.tool('tpm2_readpublic', '-c', `0x${ek.handle.toString(16)}`);
      expect(told).toContain(`name: ${read.name.toString('hex')}`);
      expect(told).toContain(`qualified name: ${read.qualifiedName.toString('hex')}`);
    });
  });

  test('a scope flushes what it loaded, also when its work fails, and keeps what it was told to', async () => {
    await expect(
      withScope(tpm, async (scope) => {
        await createPrimary(tpm, scope, TPM_RH.ENDORSEMENT, { template: ekTemplate });
        await startPolicySession(tpm, scope);
        expect(await looseHandles(tpm)).toHaveLength(2);
        throw new Error('work failed');
      }),
    ).rejects.toThrow('work failed');
    expect(await looseHandles(tpm)).toEqual([]);
    const kept = await withScope(tpm, async (scope) => {
      const ek = await createPrimary(tpm, scope, TPM_RH.ENDORSEMENT, { template: ekTemplate });
      return scope.keep(ek.handle);
    });
    expect(await looseHandles(tpm)).toEqual([kept]);
    await withScope(tpm, async (scope) => {
      scope.own(kept);
      await scope.release(kept);
      // Not flushed a second time at the end.
      expect(await looseHandles(tpm)).toEqual([]);
    });
  });

  test('a full TPM is refused by name, and the scope empties it', async () => {
    await expect(
      withScope(tpm, async (scope) => {
        for (let i = 0; i < 4; i++) await createPrimary(tpm, scope, TPM_RH.ENDORSEMENT, { template: ekTemplate });
      }),
    ).rejects.toMatchObject({ message: expect.stringContaining('TPM_RC_OBJECT_MEMORY') });
  });

  test('a public key from elsewhere is loaded under the same name', async () => {
    await withScope(tpm, async (scope) => {
      const ek = await createPrimary(tpm, scope, TPM_RH.ENDORSEMENT, { template: ekTemplate });
      const outside = await loadExternal(tpm, scope, ek.public);
      expect((await readPublic(tpm, outside.handle)).name.equals(objectName(ek.public))).toBe(true);
    });
  });

  test('a hierarchy with an authorisation value wants it', async () => {
    const auth = Buffer.from('endorsed');
    await hierarchyChangeAuth(tpm, TPM_RH.ENDORSEMENT, password(), auth);
    await withScope(tpm, async (scope) => {
      const primary = (authorisation = password()) =>
        createPrimary(tpm, scope, TPM_RH.ENDORSEMENT, { template: ekTemplate, authorisation });
      await expect(primary()).rejects.toMatchObject({
        message: expect.stringMatching(/TPM_RC_BAD_AUTH \(session 1\)/),
      });
      expect((await primary(password(auth))).public.type).toBe('ecc');
    });
    await hierarchyChangeAuth(tpm, TPM_RH.ENDORSEMENT, password(auth), Buffer.alloc(0));
  });

  test('a value of the wrong kind is refused with the number of its parameter', async () => {
    await expect(readPublic(tpm, 0x80000002)).rejects.toMatchObject({
      rc: 0x910,
      message: expect.stringContaining('TPM_RC_REFERENCE_H0'),
    });
    const broken = Buffer.from(ekTemplate);
    broken.writeUInt16BE(0x7777, 2);
    await withScope(tpm, async (scope) => {
      await expect(createPrimary(tpm, scope, TPM_RH.ENDORSEMENT, { template: broken })).rejects.toMatchObject({
        message: expect.stringContaining('TPM_RC_HASH (parameter 2)'),
      });
    });
  });
});
