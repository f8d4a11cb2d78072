import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, test } from '@jest/globals';
import { manufactureTpm } from '../../producers/attestation/emulator/manufacture.js';
import { aik1, findAik1 } from '../../producers/attestation/keys/aik1.js';
import { attestationKeyTemplate, createAik2, DEFAULT_KIND } from '../../producers/attestation/keys/attestation-key.js';
import { chooseEk } from '../../producers/attestation/keys/ek.js';
import { quote } from '../../producers/attestation/tpm/attestation.js';
import { capabilityHandles, capabilityProperty, TPM_PT } from '../../producers/attestation/tpm/capability.js';
import { HANDLE_RANGE } from '../../producers/attestation/tpm/handle.js';
import {
  clear,
  dictionaryAttackLockReset,
  dictionaryAttackParameters,
} from '../../producers/attestation/tpm/hierarchy.js';
import { create, load } from '../../producers/attestation/tpm/object.js';
import { pcrExtend, pcrRead, pcrReset } from '../../producers/attestation/tpm/pcr.js';
import { startup } from '../../producers/attestation/tpm/power.js';
import { withScope } from '../../producers/attestation/tpm/scope.js';
import { password } from '../../producers/attestation/tpm/session.js';
import { type Tpm, tpmOver } from '../../producers/attestation/tpm/tpm.js';
import { openTransport } from '../../producers/attestation/transport/open-transport.js';
import { swtpmLocality, swtpmPowerCycle, swtpmShutdown } from '../../producers/attestation/transport/swtpm-control.js';
import { type Attest, parseAttest } from '../../schemas/tpm/attest.js';
import { ATTESTATION_KEY, OBJECT_ATTRIBUTES } from '../../schemas/tpm/attributes.js';
import { looseHandles, type TestTpm, testTpm, withSwtpm } from '../support/swtpm.js';
import { temporaryFolder } from '../support/tmp.js';

const PCR12 = [{ hash: 'sha256', pcrs: [12] }];
const NONCE = Buffer.alloc(32, 5);

withSwtpm('a TPM through its life', () => {
  const folder = temporaryFolder('tpm-lifecycle');
  let machine: TestTpm;
  let tpm: Tpm;
  beforeAll(async () => {
    machine = await testTpm(folder);
    tpm = await machine.open();
  });
  afterEach(async () => {
    expect(await looseHandles(tpm)).toEqual([]);
  });

  /** What AIK1 says now. */
  const attested = (on = tpm): Promise<Attest> =>
    withScope(on, async (scope) => {
      const ek = await chooseEk(on, scope, { id: 'L-2' });
      return parseAttest((await quote(on, await aik1(on, scope, ek), NONCE, PCR12)).attest);
    });

  test('wrong passwords lock other keys out, but not attestation keys', async () => {
    await dictionaryAttackParameters(tpm, { maxTries: 3, recoverySeconds: 1000, lockoutRecoverySeconds: 1000 });
    await withScope(tpm, async (scope) => {
      const ek = await chooseEk(tpm, scope, { id: 'L-2' });
      const first = await aik1(tpm, scope, ek);
      const second = await createAik2(tpm, scope, ek);
      const template = attestationKeyTemplate(DEFAULT_KIND, ATTESTATION_KEY & ~OBJECT_ATTRIBUTES.noDA);
      const auth = Buffer.from('right');
      const wrapped = await create(tpm, ek.handle, { template, auth, authorisation: await ek.authorise() });
      const victim = await load(tpm, scope, ek.handle, wrapped, await ek.authorise());
      // Three objects are all there is room for, and AIK1 takes one while it signs.
      await scope.release(ek.handle);
      const ask = (word: string | Buffer) =>
        quote(tpm, { handle: victim.handle, authorisation: password(Buffer.from(word)) }, NONCE, PCR12);
      for (let i = 0; i < 3; i++)
        await expect(ask('wrong')).rejects.toMatchObject({ message: expect.stringContaining('TPM_RC_AUTH_FAIL') });
      // Locked: the right password is not even looked at.
      await expect(ask(auth)).rejects.toMatchObject({
        message: expect.stringMatching(/TPM_RC_LOCKOUT: too many wrong/),
      });
      expect(await capabilityProperty(tpm, TPM_PT.lockoutCounter)).toBe(3);
      await quote(tpm, first, NONCE, PCR12);
      await quote(tpm, second, NONCE, PCR12);
      await dictionaryAttackLockReset(tpm);
      await ask(auth);
    });
  });

  test('a clean power cycle counts one reset, keeps AIK1 and empties PCRs and the rest', async () => {
    const before = await attested();
    await pcrExtend(tpm, 12, { sha256: Buffer.alloc(32, 9) });
    await machine.powerCycle('clean');
    const after = await attested();
    expect(after.resetCount).toBe(before.resetCount + 1);
    expect(after.qualifiedSigner.equals(before.qualifiedSigner)).toBe(true);
    expect(after.clock).toBeGreaterThanOrEqual(before.clock);
    expect(after.safe).toBe(true);
    expect((await pcrRead(tpm, PCR12)).values[0]!.value.equals(Buffer.alloc(32))).toBe(true);
  });

  test.each(['power loss', 'crash'])(
    'after a %s the TPM counts a reset and says that its clock may not be safe',
    async (how) => {
      const before = await attested();
      await (how === 'crash' ? machine.crash() : machine.powerCycle('power-loss'));
      tpm = await machine.open();
      const after = await attested();
      expect(after.resetCount).toBe(before.resetCount + 1);
      expect(after.qualifiedSigner.equals(before.qualifiedSigner)).toBe(true);
      expect(after.safe).toBe(false);
    },
  );

  test('what is loaded does not outlive a power cycle, and its scope ends all the same', async () => {
    await withScope(tpm, async (scope) => {
      const ek = await chooseEk(tpm, scope, { id: 'L-2' });
      await ek.authorise();
      await machine.powerCycle('clean');
      expect(await looseHandles(tpm)).toEqual([]);
    });
  });

  test('two machines are two, and a clone is told from neither by its keys', async () => {
    const [other, copy] = await Promise.all([testTpm(folder, 'other'), machine.clone()]);
    const mine = await attested();
    const theirs = await attested(await other.open());
    expect(theirs.qualifiedSigner.equals(mine.qualifiedSigner)).toBe(false);
    expect((await attested(await copy.open())).qualifiedSigner.equals(mine.qualifiedSigner)).toBe(true);
  });

  test('a memory that is put back counts resets backwards, or as if nothing had happened', async () => {
    await attested();
    await machine.powerCycle('clean');
    await machine.save('early');
    const early = await attested();
    await machine.powerCycle('clean');
    await machine.powerCycle('clean');
    const late = await attested();
    await machine.rollBack('early');
    tpm = await machine.open();
    const back = await attested();
    expect(late.resetCount).toBe(early.resetCount + 2);
    expect(back.resetCount).toBeLessThan(late.resetCount);
    expect(back.qualifiedSigner.equals(late.qualifiedSigner)).toBe(true);
  });

  test('an emulator on Unix sockets is reached, told its locality, switched off and on, and ended', async () => {
    const { state } = await manufactureTpm(join(folder, 'unix'));
    const [data, ctrl] = [join(folder, 'data'), join(folder, 'control')];
    const sockets = ['--server', `type=unixio,path=${data}`, '--ctrl', `type=unixio,path=${ctrl}`];
    const child = spawn('swtpm', [
      'socket',
      '--tpm2',
      '--tpmstate',
      `dir=${state}`,
      '--flags',
      'not-need-init',
      ...sockets,
    ]);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    try {
      // A socket has its name before anybody listens on it.
      while (!existsSync(ctrl)) await new Promise((resolve) => setTimeout(resolve, 5));
      const open = async (tries: number): ReturnType<typeof openTransport> =>
        openTransport(`unix:${data}`, { timeoutMs: 10_000 }).catch((error: unknown) => {
          if (tries === 0) throw error;
          return new Promise((resolve) => setTimeout(resolve, 20)).then(() => open(tries - 1));
        });
      const unix = tpmOver(await open(200));
      await startup(unix);
      const before = await attested(unix);
      await expect(pcrReset(unix, 20)).rejects.toMatchObject({ message: expect.stringContaining('TPM_RC_LOCALITY') });
      await swtpmLocality({ path: ctrl }, 2);
      await pcrReset(unix, 20);
      await swtpmLocality({ path: ctrl }, 0);
      await swtpmPowerCycle({ path: ctrl });
      // Not started: everything but the start is refused.
      await expect(attested(unix)).rejects.toMatchObject({ message: expect.stringContaining('TPM_RC_INITIALIZE') });
      await startup(unix);
      expect((await attested(unix)).resetCount).toBe(before.resetCount + 1);
      expect(await looseHandles(unix)).toEqual([]);
      await unix.close();
      await swtpmShutdown({ path: ctrl });
      expect(await ended).toBe(0);
      await expect(swtpmPowerCycle({ path: ctrl })).rejects.toMatchObject({ code: 'TPM_UNREACHABLE' });
    } finally {
      child.kill('SIGKILL');
    }
  });

  test('TPM2_Clear takes AIK1 and the endorsement keys stay what they were', async () => {
    const name = (): Promise<Buffer> =>
      withScope(tpm, async (scope) => (await chooseEk(tpm, scope, { id: 'L-2' })).name);
    const before = await name();
    await attested();
    await clear(tpm);
    expect((await name()).equals(before)).toBe(true);
    await withScope(tpm, async (scope) => {
      expect(await findAik1(tpm, await chooseEk(tpm, scope, { id: 'L-2' }))).toBeNull();
    });
    expect(await capabilityHandles(tpm, HANDLE_RANGE.persistent)).toEqual([]);
  });
});
