import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { onPath } from '../../infra/kafka/jvm.js';
import type { EventLog } from '../../infra/log/event-log.js';
import { recordsOf } from '../../infra/log/records.js';
import { runController } from '../../processors/run/controller.js';
import { readRegistry } from '../../processors/run/enrolment/registry.js';
import { approve, revoke } from '../../processors/run/enrolment/say.js';
import { runStartupProcessor } from '../../processors/run/startup-processor.js';
import { runAgent } from '../../producers/agent.js';
import { startSwtpm } from '../../producers/attestation/emulator/local-swtpm.js';
import { manufactureTpm } from '../../producers/attestation/emulator/manufacture.js';
import { enrol } from '../../producers/attestation/enrol.js';
import { ekCertificates, makePlatform, type PlatformOptions } from '../../producers/attestation/platform.js';
import { type Tpm, tpmOver } from '../../producers/attestation/tpm/tpm.js';
import { openTransport } from '../../producers/attestation/transport/open-transport.js';
import { EventStream } from '../../producers/stream/event-stream.js';
import { encodeRecord } from '../../schemas/codec.js';
import { AttestreamError } from '../../schemas/errors.js';
import { hostPolicyFromDocument } from '../../schemas/policy/host/parse.js';
import type { Evidence, Verdict } from '../../schemas/records.js';
import { pinnedKeys, signRecord } from '../../schemas/signed.js';
import { taggedHash } from '../../schemas/tagged-hash.js';
import { selectionFromText } from '../../schemas/tpm/selection.js';
import { isInterrupt } from '../exit.js';
import type { Output } from '../output.js';
import { DEFAULT_SELECTION } from '../pcr-selection.js';
import { programDigest, StandInKernel } from './stand-in-kernel.js';

/** µs between ticks, each an epoch. */
const TICK = 500_000;
const STALE_AFTER = 6;
const EPOCHS = 20;
/** Ticks after which evidence that was not accepted would have shown as silence. */
const SETTLED = STALE_AFTER + 2;
const PATIENCE_MS = 60_000;
const LABEL = 'pump-7';
const PROGRAMS = ['/usr/bin/gateway', '/usr/bin/pump', '/usr/bin/valve', '/usr/bin/log'];

/** One thing that the demonstration shows. */
interface Step {
  readonly step: string;
  /** Trust state of the host that it ended in. */
  readonly state: string;
  readonly wanted: string;
  readonly shown: boolean;
  readonly says: string;
}

const POLICY = {
  kind: 'host',
  id: 'demo-host',
  description: 'The programs of the demonstration and no others.',
  files: Object.fromEntries(PROGRAMS.map((name) => [name, `sha256:${programDigest(name).toString('hex')}`])),
  unlisted: 'contraindicated',
  // The stand-in for a kernel has no command line that a firmware could have measured.
  coverage: 'none',
  staleAfter: STALE_AFTER,
};

const writeKey = (folder: string, name: string): KeyObject => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  writeFileSync(join(folder, `${name}.pem`), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  writeFileSync(join(folder, `${name}.pub`), publicKey.export({ type: 'spki', format: 'pem' }));
  return privateKey;
};

const requireEmulator = (): void => {
  const missing = ['swtpm', 'swtpm_setup'].filter((program) => !onPath(program));
  if (missing.length > 0)
    throw new AttestreamError(
      'LOCAL_PART_FAILED',
      `this scenario needs an emulated TPM, and ${missing.join(' and ')} is not installed: apt-get install swtpm swtpm-tools`,
    );
};

/**
 * A host with a TPM from its first word to its revocation: asks, is approved and enrolled, attests, reboots, changes its key,
 * falls silent, returns, is revoked. Throws DEMO_INCOMPLETE unless every step ended in the trust state that it should.
 */
export const runHostScenario = async (
  parent: string,
  open: (folder: string) => Promise<EventLog>,
  out: Output,
  stop: AbortSignal,
): Promise<void> => {
  requireEmulator();
  const folder = mkdtempSync(join(parent, 'host-'));
  const trace = join(folder, 'trace');
  const log = await open(trace);
  const swtpm = await startSwtpm((await manufactureTpm(join(folder, 'tpm'))).state);
  const tpm = tpmOver(await openTransport(swtpm.address));
  const ended = new AbortController();
  const scene = new HostScene(folder, log, tpm, out, AbortSignal.any([stop, ended.signal]));
  try {
    out.note('A host with an emulated TPM, a verifier and an operator. The host is judged by its evidence alone.\n');
    await scene.play(swtpm.powerCycle);
  } finally {
    ended.abort();
    await scene.close();
    await tpm.close();
    await swtpm.stop();
    await log.close();
  }
  stop.throwIfAborted();
  await out.rows(scene.steps, ['step', 'state', 'says']);
  out.note(`\nThe same again, from the log: attestream trace cat ${trace} --topic verdicts`);
  const failed = scene.steps.filter(({ shown }) => !shown);
  if (failed.length > 0)
    throw new AttestreamError(
      'DEMO_INCOMPLETE',
      failed.map(({ step, state, wanted }) => `${step}: ${state} instead of ${wanted}`).join('; '),
    );
};

class HostScene {
  readonly steps: Step[] = [];
  readonly #folder: string;
  readonly #log: EventLog;
  readonly #tpm: Tpm;
  readonly #out: Output;
  readonly #stop: AbortSignal;
  readonly #verifier: KeyObject;
  readonly #operator: KeyObject;
  readonly #kernel: StandInKernel;
  readonly #running: Promise<void>[] = [];
  #agent: { readonly stop: AbortController; readonly done: Promise<void> } | null = null;
  #host = '';
  #boot = randomUUID();

  constructor(folder: string, log: EventLog, tpm: Tpm, out: Output, stop: AbortSignal) {
    this.#folder = folder;
    this.#log = log;
    this.#tpm = tpm;
    this.#out = out;
    this.#stop = stop;
    this.#verifier = writeKey(folder, 'verifier');
    this.#operator = writeKey(folder, 'operator');
    this.#kernel = new StandInKernel(tpm, join(folder, 'measurements'));
  }

  get #keys(): PlatformOptions {
    return { tpm: this.#tpm };
  }

  async play(powerCycle: (how: 'clean') => Promise<void>): Promise<void> {
    await this.#start();
    await this.#kernel.boot();
    const enrolling = this.#ask();
    await this.#until('asks to be enrolled', 'none', async () => (await this.#latest()) !== null);
    await this.#approve();
    if ((await enrolling) === null) throw new AttestreamError('ENROL_TIMEOUT', 'the verifier did not enrol the host');
    await this.#until(
      'is approved and enrolled',
      'none',
      async () => (await this.#latest())?.message.startsWith('enrolled') === true,
    );
    this.#startAgent();
    await this.#until(
      'attests for the first time',
      'affirming',
      async () => (await this.#latest())?.state === 'affirming',
    );
    for (const program of PROGRAMS) await this.#kernel.run(program);
    await this.#until(
      `attests for ${EPOCHS} epochs while it starts programs`,
      'affirming',
      async () => (await this.#evidence()).length >= EPOCHS,
    );

    const key = (await this.#evidence()).at(-1);
    await this.#stopAgent();
    await powerCycle('clean');
    this.#boot = randomUUID();
    await this.#kernel.boot();
    this.#startAgent();
    await this.#accepted('reboots, with a new list and a new AIK2', key);

    const before = (await this.#evidence()).at(-1);
    await this.#askToCertify();
    await this.#accepted('rotates AIK2 when it is asked to', before);

    await this.#stopAgent();
    await this.#until('falls silent', 'none', async () => (await this.#latest())?.state === 'none');
    this.#startAgent();
    await this.#until('returns', 'affirming', async () => (await this.#latest())?.state === 'affirming');
    await revoke(this.#log, this.#operator, this.#host, 'the demonstration is over');
    await this.#until('is revoked', 'contraindicated', async () => (await this.#latest())?.state === 'contraindicated');
  }

  /** Verifier: ticks, enrolment, judgement. */
  async #start(): Promise<void> {
    for (const topic of ['measurements', 'memory']) await this.#log.createTopic(topic, 1);
    const keys = pinnedKeys([this.#verifier, this.#operator]);
    const policies = [hostPolicyFromDocument(POLICY, 'the policy of the demonstration')];
    const enrolment = {
      operators: keys,
      anchors: { roots: [], intermediates: [], allowExpiredIssuers: false },
      onNote: (note: string) => this.#out.note(`  verifier: ${note}`),
    };
    const [log, stop] = [this.#log, this.#stop];
    this.#running.push(
      runController({ log, key: this.#verifier, interval: TICK, selection: DEFAULT_SELECTION, enrolment, stop }),
      runStartupProcessor({ log, policies, keys, key: this.#verifier, once: false, stop }),
    );
  }

  async #ask() {
    const platform = await makePlatform(this.#keys);
    this.#host = platform.host;
    const stream = taggedHash('attestream/stream/1', platform.host, this.#boot, 'enrolment');
    const now = (): number => Date.now() * 1000;
    const events = await EventStream.open({ log: this.#log, topic: 'measurements', stream, host: platform.host });
    events.put('StreamOpened', { at: now(), kind: 'agent', boot: this.#boot, offset: 0, agent: 'demo', previous: [] });
    return enrol({
      log: this.#log,
      events,
      platform,
      keys: this.#keys,
      label: LABEL,
      ekCertificates: await ekCertificates(this.#keys),
      agentVersion: 'demo',
      verifiers: pinnedKeys([this.#verifier]),
      now,
      stop: AbortSignal.any([this.#stop, AbortSignal.timeout(PATIENCE_MS)]),
    });
  }

  async #approve(): Promise<void> {
    const known = (await readRegistry(this.#log, pinnedKeys([this.#verifier]))).get(this.#host);
    if (known === undefined) throw new AttestreamError('HOST_UNKNOWN', 'the host did not ask to be enrolled');
    await approve(this.#log, this.#operator, { label: LABEL, ekSpki: Buffer.from(known.ek, 'hex') });
  }

  #startAgent(): void {
    const stop = new AbortController();
    const done = runAgent({
      log: this.#log,
      keys: this.#keys,
      verifiers: pinnedKeys([this.#verifier]),
      label: LABEL,
      agent: 'demo',
      selection: selectionFromText(DEFAULT_SELECTION),
      imaList: join(this.#folder, 'measurements'),
      firmwareLog: null,
      stateFolder: join(this.#folder, 'run'),
      boot: this.#boot,
      minInterval: 0,
      stop: AbortSignal.any([stop.signal, this.#stop]),
    });
    // Looked at where it is waited for.
    done.catch(() => undefined);
    this.#agent = { stop, done };
  }

  async #stopAgent(): Promise<void> {
    this.#agent?.stop.abort();
    await this.#agent?.done;
    this.#agent = null;
  }

  /** A verifier's wish for a fresh key. */
  async #askToCertify(): Promise<void> {
    let tick = 0;
    for await (const { record } of recordsOf(this.#log, 'measurements', 'Tick')) tick = Math.max(tick, record.number);
    const request = signRecord(
      'Request',
      {
        // Behind whatever the start-up processor asks in the name of the same key.
        number: (tick + 1) * 4096,
        host: this.#host,
        kind: 'certify',
        list: '',
        container: '',
        from: 0,
        reason: 'the demonstration rotates AIK2',
        issued: Date.now() * 1000,
      },
      this.#verifier,
    );
    await this.#log.append({ topic: 'measurements', partition: 0 }, [
      {
        key: Buffer.from(this.#host),
        schema: this.#log.schemas.current('Request'),
        value: encodeRecord('Request', request),
      },
    ]);
  }

  async #latest(): Promise<Verdict | null> {
    let latest: Verdict | null = null;
    for await (const { record } of recordsOf(this.#log, 'verdicts', 'Verdict'))
      if (record.kind === 'host') latest = record;
    return latest;
  }

  async #evidence(): Promise<readonly Evidence[]> {
    const found: Evidence[] = [];
    for await (const { record } of recordsOf(this.#log, 'measurements', 'Evidence')) found.push(record);
    return found;
  }

  /** Evidence by another key came, and so many ticks passed that it would show if it had not been accepted. */
  #accepted(step: string, before: Evidence | undefined): Promise<void> {
    return this.#until(step, 'affirming', async () => {
      const all = await this.#evidence();
      const fresh = all.filter(({ aik2Public }) => before !== undefined && !aik2Public.equals(before.aik2Public));
      return fresh.some(({ certify }) => certify !== null) && fresh.length >= SETTLED;
    });
  }

  /** Waits for something to have happened, and notes the trust state that stands then. */
  async #until(step: string, wanted: string, happened: () => Promise<boolean>): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    let done = await happened();
    while (!done && performance.now() < end) {
      this.#stop.throwIfAborted();
      await Promise.race([delay(TICK / 5000), this.#agent?.done.then(() => delay(TICK / 5000)) ?? delay(TICK / 5000)]);
      done = await happened();
    }
    const verdict = await this.#latest();
    const state = verdict?.state ?? 'none';
    this.steps.push({ step, state, wanted, shown: done && state === wanted, says: verdict?.message ?? '' });
    this.#out.note(`${done && state === wanted ? '✓' : '✗'} the host ${step}: ${state}`);
  }

  /** Waits for all parts to end; they were told to. */
  async close(): Promise<void> {
    const parts = [...this.#running, ...(this.#agent === null ? [] : [this.#agent.done])];
    for (const part of await Promise.allSettled(parts))
      if (part.status === 'rejected' && !isInterrupt(part.reason)) throw part.reason;
  }
}
