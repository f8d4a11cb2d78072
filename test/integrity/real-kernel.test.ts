import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { memoryLog } from '../../infra/log/memory-log.js';
import { recordsOf } from '../../infra/log/records.js';
import { typedRecords } from '../../infra/log/typed-records.js';
import { runController } from '../../processors/run/controller.js';
import { readRegistry } from '../../processors/run/enrolment/registry.js';
import { approve } from '../../processors/run/enrolment/say.js';
import { runStartupProcessor } from '../../processors/run/startup-processor.js';
import { decodeCore } from '../../schemas/evidence/core.js';
import { hostPolicyFromDocument } from '../../schemas/policy/host/parse.js';
import type { Evidence, RecordName, Records, Verdict } from '../../schemas/records.js';
import { pinnedKeys } from '../../schemas/signed.js';
import { parseAttest } from '../../schemas/tpm/attest.js';
import { serveLog } from '../support/bridge-log.js';
import { guestProgram } from '../support/guest-program.js';
import { KernelVm } from '../support/kernel-vm.js';
import { buildImage, withLibraries } from '../support/kernel-vm-image.js';
import { withKernelVm } from '../support/kernel-vm-tests.js';
import { temporaryFolder } from '../support/tmp.js';

const folder = temporaryFolder('real-kernel');
const TICK = 1_000_000;
const PATIENCE = 60_000;

withKernelVm('a machine with a real kernel', () => {
  const verifier = generateKeyPairSync('ed25519').privateKey;
  const operator = generateKeyPairSync('ed25519').privateKey;
  const keys = pinnedKeys([verifier, operator]);
  const log = memoryLog();
  const stop = new AbortController();
  const running: Promise<void>[] = [];
  let bridge: Awaited<ReturnType<typeof serveLog>>;
  let vm: KernelVm;

  const agent = (how: 'enrol' | '' = ''): Promise<string> => {
    const spki = createPublicKey(verifier).export({ type: 'spki', format: 'der' }).toString('base64');
    const program = '/opt/attestream/test/support/guest-agent.js';
    return vm.run(`node ${program} ${bridge.port} ${spki} ${how} >/run/agent.log 2>&1 & echo started`);
  };

  /** The first record of a type that fits, waited for; with what the machine says where none comes. */
  const firstOf = async <N extends 'Verdict' | 'Evidence'>(
    name: N,
    fits: (record: N extends 'Verdict' ? Verdict : Evidence) => boolean,
  ): Promise<N extends 'Verdict' ? Verdict : Evidence> => {
    const topic = name === 'Verdict' ? 'verdicts' : 'measurements';
    const seen: unknown[] = [];
    for await (const { record } of typedRecords(
      log,
      { topic, partition: 0 },
      [name],
      0,
      'follow',
      AbortSignal.timeout(PATIENCE),
    )) {
      const found = record as N extends 'Verdict' ? Verdict : Evidence;
      if (fits(found)) return found;
      if (name === 'Verdict')
        seen.push((found as Verdict).state, (found as Verdict).message, (found as Verdict).bindings);
    }
    const said = await vm.try('cat /run/agent.log; dmesg | tail -5').catch((error: Error) => error.message);
    throw new Error(`no such ${name} came; instead ${JSON.stringify(seen)}; ${JSON.stringify(said)}\n${vm.console}`);
  };
  const records = async <N extends RecordName>(name: N, topic = 'measurements'): Promise<Records[N][]> => {
    const found: Records[N][] = [];
    for await (const { record } of recordsOf(log, topic, name)) found.push(record);
    return found;
  };
  const verdicts = (): Promise<Verdict[]> => records('Verdict', 'verdicts');

  beforeAll(async () => {
    for (const topic of ['measurements', 'memory', 'verdicts']) await log.createTopic(topic, 1);
    bridge = await serveLog(log);
    const image = buildImage(folder, [
      ...withLibraries(process.execPath),
      ...guestProgram('test/support/guest-agent.ts', '/opt/attestream'),
    ]);
    vm = await KernelVm.start({ folder, image, firmware: 'uefi' });
  }, 120_000);
  afterAll(async () => {
    stop.abort();
    await vm?.stop();
    bridge?.stop();
    await Promise.all(running);
  });

  test('is enrolled, and affirmed by the lists that its kernel and its firmware wrote', async () => {
    // Parts of the controller are loaded when they are needed, which jest allows within a test only.
    const policy = hostPolicyFromDocument({ kind: 'host', id: 'guest', staleAfter: 100 }, 'policy');
    running.push(
      runController({
        log,
        key: verifier,
        interval: TICK,
        selection: 'sha1:10+sha256:0,1,2,3,4,5,6,7,8,9,10,12+sha384:10+sha512:10',
        enrolment: {
          operators: keys,
          anchors: { roots: [], intermediates: [], allowExpiredIssuers: false },
          onNote: () => {},
        },
        stop: stop.signal,
      }),
      runStartupProcessor({ log, policies: [policy], keys, key: verifier, once: false, stop: stop.signal }),
    );
    await agent('enrol');
    for (let known = false; !known; ) {
      const [asking] = (await readRegistry(log, keys)).values();
      known = asking !== undefined;
      if (asking !== undefined) await approve(log, operator, { label: 'guest', ekSpki: Buffer.from(asking.ek, 'hex') });
      else await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const verdict = await firstOf('Verdict', ({ state }) => state === 'affirming');
    expect(verdict.bindings['label']).toBe(JSON.stringify('guest'));
    expect(verdict.numbers).toMatchObject({ violations: 0 });
  }, 120_000);

  test('stays affirmed while its list grows during quotes, in every bank', async () => {
    await vm.run(
      'mkdir /root/new; (n=0; while [ $n -lt 300 ]; do n=$((n+1)); echo $n >/root/new/$n; read x </root/new/$n; usleep 5000; done) >/dev/null 2>&1 &',
    );
    const grown = await firstOf('Evidence', ({ core, nI1 }) => nI1 > decodeCore(core).nI0);
    const banks = grown.pcrHints.filter(({ pcr }) => pcr === 10).map(({ hash }) => hash);
    expect(banks.sort()).toEqual(['sha1', 'sha256', 'sha384', 'sha512']);
    // Accepted: the evidence behind it follows it, and no verdict says otherwise.
    await firstOf('Evidence', ({ seq, stream }) => stream.equals(grown.stream) && seq > grown.seq);
    expect((await verdicts()).at(-1)).toMatchObject({ state: 'affirming' });
  }, 120_000);

  test('goes on where it was when its agent is started again', async () => {
    await vm.run('kill $(pidof node)');
    const { seq, stream } = (await records('Evidence')).at(-1)!;
    await agent();
    const next = await firstOf('Evidence', (evidence) => !evidence.stream.equals(stream));
    const [opened] = (await records('StreamOpened')).filter((record) => record.stream.equals(next.stream));
    expect(opened?.previous.map(({ topic }) => topic)).toEqual(['measurements']);
    expect(opened?.previous[0]?.seq).toBeGreaterThanOrEqual(seq);
    const entries = (await records('ListEntry')).filter((record) => record.stream.equals(next.stream));
    expect(Math.min(...entries.map(({ index }) => index))).toBeGreaterThan(100);
    expect((await verdicts()).at(-1)).toMatchObject({ state: 'affirming' });
  }, 120_000);

  test('is found out in the violation that it causes', async () => {
    await vm.run('echo a >/root/f; exec 5</root/f; exec 6>>/root/f; exec 5<&-; exec 6>&-');
    const verdict = await firstOf('Verdict', ({ state }) => state === 'contraindicated');
    expect(verdict.message).toMatch(/^ima\.violation: .*\/root\/f .*was written while it was read/);
    expect(verdict.numbers).toMatchObject({ violations: 1 });
  }, 120_000);

  test('is affirmed again after a reboot, by new lists and a new key', async () => {
    const before = (await records('Evidence')).at(-1)!;
    await vm.reboot();
    await agent();
    const after = await firstOf(
      'Evidence',
      (evidence) => parseAttest(evidence.quote.attest).resetCount > parseAttest(before.quote.attest).resetCount,
    );
    expect(after.aik2Public).not.toEqual(before.aik2Public);
    expect(after.certify).not.toBeNull();
    const { resetCount } = parseAttest(after.quote.attest);
    await firstOf('Verdict', ({ state, numbers }) => state === 'affirming' && numbers['resetCount'] === resetCount);
    expect((await verdicts()).map(({ state }) => state)).toEqual([
      ...['none', 'none', 'affirming', 'contraindicated', 'affirming'],
    ]);
    await vm.powerOff();
  }, 120_000);
});
