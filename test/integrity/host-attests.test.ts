import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { EventLog } from '../../infra/log/event-log.js';
import { memoryLog } from '../../infra/log/memory-log.js';
import { type Typed, typedRecords } from '../../infra/log/typed-records.js';
import { runController } from '../../processors/run/controller.js';
import { readCertificates } from '../../processors/run/enrolment/certificate.js';
import { readRegistry } from '../../processors/run/enrolment/registry.js';
import { rootSetDigest } from '../../processors/run/enrolment/root-set.js';
import { approve, revoke } from '../../processors/run/enrolment/say.js';
import { runStartupProcessor } from '../../processors/run/startup-processor.js';
import { runAgent } from '../../producers/agent.js';
import { startSwtpm } from '../../producers/attestation/emulator/local-swtpm.js';
import { manufactureTpm } from '../../producers/attestation/emulator/manufacture.js';
import { enrol } from '../../producers/attestation/enrol.js';
import {
  ekCertificates,
  makePlatform,
  type PlatformOptions,
  readPlatform,
} from '../../producers/attestation/platform.js';
import { tpmOver } from '../../producers/attestation/tpm/tpm.js';
import { openTransport } from '../../producers/attestation/transport/open-transport.js';
import { EventStream } from '../../producers/stream/event-stream.js';
import { encodeRecord } from '../../schemas/codec.js';
import { decodeCore } from '../../schemas/evidence/core.js';
import { hostPolicyFromDocument } from '../../schemas/policy/host/parse.js';
import type { RecordName } from '../../schemas/records.js';
import { pinnedKeys, signRecord } from '../../schemas/signed.js';
import { partitionOf } from '../../schemas/topics.js';
import { parseAttest } from '../../schemas/tpm/attest.js';
import { looseHandles, type TestTpm, testTpm, withSwtpm } from '../support/swtpm.js';
import { temporaryFolder } from '../support/tmp.js';

const folder = temporaryFolder('host-attests');
const pair = (): KeyObject => generateKeyPairSync('ed25519').privateKey;
const TICK = 150_000;

/** The first record of a type that fits, waited for. */
const firstOf = async <N extends RecordName>(
  log: EventLog,
  partition: number,
  name: N,
  fits: (record: Typed<N>['record']) => boolean = () => true,
): Promise<Typed<N>> => {
  const stop = AbortSignal.timeout(20_000);
  for await (const found of typedRecords(log, { topic: 'measurements', partition }, [name], 0, 'follow', stop))
    if (fits(found.record)) return found;
  throw new Error(`no ${name} came`);
};

/** What came within half a second. */
const soon = <T>(done: Promise<T>): Promise<T | 'waiting'> =>
  Promise.race([done, new Promise<'waiting'>((resolve) => setTimeout(resolve, 500, 'waiting'))]);

withSwtpm('a host with a TPM', () => {
  const [verifier, other, operator] = [pair(), pair(), pair()];
  const log = memoryLog();
  const stop = new AbortController();
  const notes: string[] = [];
  const running: Promise<void>[] = [];
  let tpm: TestTpm;
  let keys: PlatformOptions;
  /** The first host's. */
  let partition: number;

  const verifiers = pinnedKeys([verifier, other]);
  beforeAll(async () => {
    tpm = await testTpm(folder);
    keys = { tpm: await tpm.open() };
    partition = partitionOf((await readPlatform(keys)).host, 2);
    for (const topic of ['measurements', 'memory']) await log.createTopic(topic, 2);
  }, 60_000);
  afterAll(async () => {
    stop.abort();
    await Promise.all(running);
  });

  const ask = async (label: string, from = keys) => {
    const platform = await makePlatform(from);
    const events = await EventStream.open({
      log,
      topic: 'measurements',
      stream: Buffer.alloc(32, label.length),
      host: platform.host,
    });
    const done = enrol({
      log,
      events,
      platform,
      keys: from,
      label,
      ekCertificates: await ekCertificates(from),
      agentVersion: 'test',
      verifiers,
      now: () => Date.now() * 1000,
      stop: AbortSignal.any([stop.signal, AbortSignal.timeout(20_000)]),
    });
    return { platform, done };
  };

  test('is enrolled once an operator approved its key', async () => {
    // Parts of the controller are loaded when they are needed, which jest allows within a test only.
    const roots = [...readCertificates(readFileSync(tpm.rootCertificate))];
    const intermediates = [...readCertificates(readFileSync(tpm.issuerCertificate))];
    running.push(
      runController({
        log,
        key: verifier,
        interval: TICK,
        selection: 'sha256:0,10,12+sha1:10',
        enrolment: {
          operators: pinnedKeys([operator]),
          anchors: { roots, intermediates, allowExpiredIssuers: false },
          onNote: (note) => notes.push(note),
        },
        stop: stop.signal,
      }),
    );
    const { platform, done } = await ask('pump-7');
    const waiting = async (): Promise<string> => {
      for (let i = 0; i < 200; i++) {
        const ek = [...(await readRegistry(log, verifiers)).values()][0]?.ek;
        if (ek !== undefined) return ek;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      throw new Error('the request did not come');
    };
    const ek = await waiting();
    await approve(log, operator, { label: 'pump seven', ekSpki: Buffer.from(ek, 'hex') });
    const enrolled = await done;
    expect(enrolled).toMatchObject({
      host: platform.host,
      label: 'pump seven',
      basis: 'approved',
      notChecked: ['ek.revocation'],
    });
    expect(enrolled?.anchors).toHaveLength(2);
    expect((await readRegistry(log, verifiers)).get(platform.host)).toMatchObject({
      state: 'enrolled',
      label: 'pump seven',
      ek,
    });
    expect(await looseHandles(keys.tpm)).toEqual([]);
  });

  test('answers ticks with one quote, and goes on with a new key after a reset', async () => {
    const agent = new AbortController();
    let host = '';
    const done = runAgent({
      log,
      keys,
      verifiers,
      label: 'pump-7',
      agent: 'test',
      selection: [{ hash: 'sha256', pcrs: [0] }],
      imaList: null,
      firmwareLog: null,
      stateFolder: join(folder, 'run'),
      minInterval: 0,
      stop: AbortSignal.any([agent.signal, stop.signal]),
      onReady: (name) => {
        host = name;
      },
    });
    running.push(done);
    const first = (await firstOf(log, partition, 'Evidence')).record;
    expect(decodeCore(first.core)).toMatchObject({ host, nI0: 0, nB0: 0 });
    expect(first.certify?.leaves).toHaveLength(1);
    expect(parseAttest(first.quote.attest).quote?.selection).toEqual([
      { hash: 'sha256', pcrs: [0, 10, 12] },
      { hash: 'sha1', pcrs: [10] },
    ]);
    expect(first.pcrHints).toHaveLength(4);
    const second = (await firstOf(log, partition, 'Evidence', ({ seq }) => seq > first.seq)).record;
    expect(second.certify).toBeNull();
    expect(second.aik2Public).toEqual(first.aik2Public);
    // Another verifier joins: a new session, for both.
    const both = new AbortController();
    const joined = runOther(both.signal);
    const merged = (
      await firstOf(log, partition, 'Evidence', ({ seq, certify }) => seq > second.seq && certify?.leaves.length === 2)
    ).record;
    expect(merged.aik2Public).not.toEqual(first.aik2Public);
    both.abort();
    await joined;
    await tpm.powerCycle('power-loss');
    const reset = parseAttest(merged.quote.attest).resetCount;
    const after = (
      await firstOf(log, partition, 'Evidence', ({ quote }) => parseAttest(quote.attest).resetCount > reset)
    ).record;
    expect(after.certify).not.toBeNull();
    expect(after.aik2Public).not.toEqual(merged.aik2Public);
    agent.abort();
    await done;
    expect(await looseHandles(keys.tpm)).toEqual([]);
  });

  const runOther = async (ended: AbortSignal): Promise<void> => {
    for (let number = 0; !ended.aborted; number++) {
      const tick = signRecord(
        'Tick',
        {
          number,
          nonce: Buffer.alloc(32, number),
          issued: Date.now() * 1000,
          interval: TICK,
          grace: TICK,
          k: 1,
          selection: 'sha256:0,10,12+sha1:10',
        },
        other,
      );
      await log.append({ topic: 'measurements', partition }, [
        { key: null, schema: log.schemas.current('Tick'), value: encodeRecord('Tick', tick) },
      ]);
      await new Promise((resolve) => setTimeout(resolve, TICK / 1000));
    }
  };

  test('is enrolled by its maker where an operator trusts the maker, without its name being believed', async () => {
    const files = await manufactureTpm(join(folder, 'third'), {}, tpm.folder);
    const swtpm = await startSwtpm(files.state);
    const third = tpmOver(await openTransport(swtpm.address));
    try {
      const { done } = await ask('whatever it says', { tpm: third });
      expect(await soon(done)).toBe('waiting');
      const roots = readCertificates(readFileSync(tpm.rootCertificate));
      await approve(log, operator, { rootSet: rootSetDigest(roots) });
      expect(await done).toMatchObject({
        label: 'whatever it says',
        basis: 'roots',
        anchors: [`sha256:${roots[0]!.fingerprint}`],
        notChecked: ['label', 'ek.revocation'],
      });
      // Of another maker: the approval of the roots does not reach it.
      const stranger = await testTpm(folder, 'stranger');
      expect(await soon((await ask('stranger', { tpm: await stranger.open() })).done)).toBe('waiting');
    } finally {
      await third.close();
      await swtpm.stop();
    }
  });

  test('is not enrolled any more after it was revoked', async () => {
    const { host } = await makePlatform(keys);
    await revoke(log, operator, host, 'stolen');
    expect((await readRegistry(log, pinnedKeys([operator, verifier]))).get(host)).toMatchObject({
      state: 'revoked',
      reason: 'stolen',
    });
    const { done } = await ask('pump-7 again');
    await expect(done).rejects.toMatchObject({ code: 'ENROL_REFUSED', message: expect.stringMatching(/revoked/) });
    expect(notes.join('\n')).toMatch(/refused: it was revoked/);
  });
});

withSwtpm('an agent that nobody enrolled', () => {
  test('asks for it when a verifier does not know it, and is judged once it is approved', async () => {
    const [verifier, operator] = [pair(), pair()];
    const keys = pinnedKeys([verifier, operator]);
    const log = memoryLog();
    const stop = new AbortController();
    for (const topic of ['measurements', 'memory', 'verdicts']) await log.createTopic(topic, 1);
    const tpm = await testTpm(folder, 'unknown');
    const policy = hostPolicyFromDocument({ kind: 'host', id: 'any', coverage: 'none', staleAfter: 100 }, 'policy');
    const anchors = { roots: [], intermediates: [], allowExpiredIssuers: false };
    const enrolment = { operators: keys, anchors, onNote: () => undefined };
    const parts = [
      runController({ log, key: verifier, interval: TICK, enrolment, stop: stop.signal }),
      runStartupProcessor({ log, policies: [policy], keys, key: verifier, once: false, stop: stop.signal }),
      runAgent({
        log,
        keys: { tpm: await tpm.open() },
        verifiers: keys,
        label: 'new',
        agent: 'test',
        selection: [{ hash: 'sha256', pcrs: [0, 10] }],
        imaList: null,
        firmwareLog: null,
        stateFolder: join(folder, 'new'),
        minInterval: 0,
        stop: stop.signal,
      }),
    ];
    try {
      let ek = '';
      while (ek === '') {
        ek = [...(await readRegistry(log, keys)).values()][0]?.ek ?? '';
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      await approve(log, operator, { label: 'new', ekSpki: Buffer.from(ek, 'hex') });
      const states: string[] = [];
      const patience = AbortSignal.timeout(30_000);
      for await (const { record } of typedRecords(
        log,
        { topic: 'verdicts', partition: 0 },
        ['Verdict'],
        0,
        'follow',
        patience,
      )) {
        states.push(record.state);
        if (record.state === 'affirming') break;
      }
      expect(states).toEqual(['none', 'none', 'affirming']);
    } finally {
      stop.abort();
      await Promise.all(parts);
    }
  }, 60_000);
});
