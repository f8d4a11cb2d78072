import { generateKeyPairSync, sign, verify } from 'node:crypto';
import type { Batch } from '../infra/log/event-log.js';
import { memoryLog } from '../infra/log/memory-log.js';
import { createEngine, type Engine } from '../processors/engine/engine.js';
import { startupFold } from '../processors/startup/fold.js';
import { encodeRecord } from '../schemas/codec.js';
import { hostPolicyFromDocument } from '../schemas/policy/host/parse.js';
import { pinnedKeys } from '../schemas/signed.js';
import { BenchHost, ENTRIES, type Placed, policyOfList, tickOf } from './evidence-workload.js';
import type { Figure } from './figure.js';

const HOSTS = 60;
const EPOCHS = 6;
/** Times that the whole is judged by an engine of its own before it counts: a verifier runs for long, and compiling it is no part of the cost. */
const WARM = 10;
const ROUNDS = 11;
const PORTION = 5;
const AT = { topic: 'measurements', partition: 0 } as const;

/** Of all threads of this process, those that collect garbage included: what else runs on the machine does not count. */
const seconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

const NO_HEADERS = (): readonly [] => [];

/** The records as a log hands them over: a few large buffers, so that what the workload was made of is no garbage of the verifier. */
const batchesOf = async (placed: readonly Placed[]): Promise<readonly Batch[]> => {
  const log = memoryLog();
  await log.createTopic(AT.topic, 1);
  await log.append(
    AT,
    placed.map(({ host, name, value }) => ({
      key: host === '' ? null : Buffer.from(host),
      schema: log.schemas.current(name),
      value,
    })),
  );
  const batches: Batch[] = [];
  for await (const batch of log.read(AT, 0, placed.length)) batches.push({ ...batch, headers: NO_HEADERS });
  return batches;
};

/** Seconds of the processor from the records' bytes to commits: verdicts, and the state of every host that changed. */
const judged = (engine: Engine, commits: readonly (readonly Batch[])[]): number => {
  const began = seconds();
  for (const batches of commits) {
    for (const batch of batches) engine.push(batch);
    engine.take();
  }
  return seconds() - began;
};

/** Of rounds: what else runs on the machine slows some of them down, also in processor time. */
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

/** Signatures a second that one core verifies with P-256: no verifier can be faster than this. */
const bareVerification = (): number => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const message = Buffer.alloc(150, 7);
  const signature = sign('sha256', message, { key: privateKey, dsaEncoding: 'ieee-p1363' });
  const count = 3000;
  const began = seconds();
  for (let i = 0; i < count; i++) verify('sha256', message, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature);
  return count / (seconds() - began);
};

/**
 * Evidence a second of a processor's time, from the bytes of the log to the verdict: hosts with lists of 780 entries, first each with its
 * whole list and a certification, then in delta mode (nothing new in the list). Beside it: bare signature checks.
 */
export const bench = async (): Promise<Figure[]> => {
  const verifier = generateKeyPairSync('ed25519').privateKey;
  const hosts = Array.from({ length: HOSTS }, (_, i) => new BenchHost(verifier, i));
  const ticks = Array.from({ length: EPOCHS + 1 }, (_, i) => tickOf(verifier, i));
  const tick = (number: number): Placed => ({ host: '', name: 'Tick', value: encodeRecord('Tick', ticks[number]!) });
  const { schemas } = memoryLog();
  const policies = [hostPolicyFromDocument(policyOfList(), 'bench')];
  const enrolment = [await batchesOf([tick(0), ...hosts.flatMap((host) => host.enrol())])];
  const whole: (readonly Batch[])[] = [];
  for (let i = 0; i < HOSTS; i += PORTION)
    whole.push(
      await batchesOf(hosts.slice(i, i + PORTION).flatMap((host) => [...host.list(), host.evidence(ticks[0]!)])),
    );
  const epochs: (readonly Batch[])[] = [];
  for (const [i, answered] of ticks.slice(1).entries())
    epochs.push(await batchesOf([tick(i + 1), ...hosts.map((host) => host.evidence(answered))]));
  const full: number[] = [];
  const delta: number[] = [];
  for (let round = 0; round < WARM + ROUNDS; round++) {
    const keys = pinnedKeys([verifier]);
    const engine = createEngine({ fold: startupFold({ policies }), partition: 0, schemas, keys });
    judged(engine, enrolment);
    const took = [judged(engine, whole), judged(engine, epochs)] as const;
    if (round >= WARM) {
      full.push(took[0]);
      delta.push(took[1]);
    }
    const { deadLetters, verdicts } = engine.counts;
    if (deadLetters > 0 || verdicts !== 3 * HOSTS)
      throw new Error(`the workload is not flawless: ${deadLetters} dead letters, ${verdicts} verdicts`);
  }
  const baseline = bareVerification();
  const row = (name: string, figure: number): Figure => ({
    name,
    figure,
    unit: 'evidence/s of CPU',
    baseline,
    ratio: figure / baseline,
  });
  return [
    row(`delta, list of ${ENTRIES} entries`, (HOSTS * EPOCHS) / median(delta)),
    row(`full, list of ${ENTRIES} entries`, HOSTS / median(full)),
  ];
};
