import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { memoryLog } from '../infra/log/memory-log.js';
import { createEngine, type Engine } from '../processors/engine/engine.js';
import { startupFold } from '../processors/startup/fold.js';
import { encodeRecord } from '../schemas/codec.js';
import { hostPolicyFromDocument } from '../schemas/policy/host/parse.js';
import { pinnedKeys } from '../schemas/signed.js';
import { BenchHost, ENTRIES, type Placed, policyOfList, tickOf } from './evidence-workload.js';

interface Result {
  readonly name: string;
  readonly figure: number;
  readonly unit: string;
  readonly baseline: number;
  readonly ratio: number;
}

const HOSTS = 200;
const WARM = 60;
const EPOCHS = 20;
const PORTION = 5;
const AT = { topic: 'measurements', partition: 0 } as const;

const seconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

/** Seconds of the processor from the records' bytes to a commit: verdicts, and the state of every host that changed. */
const judged = async (engine: Engine, placed: readonly Placed[]): Promise<number> => {
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
  let cpu = 0;
  for await (const batch of log.read(AT, 0, placed.length)) {
    const began = seconds();
    engine.push(batch);
    cpu += seconds() - began;
  }
  const began = seconds();
  engine.take();
  return cpu + seconds() - began;
};

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
 * Evidence a second of one core, from the bytes of the log to the verdict: hosts with lists of 780 entries, first each with its
 * whole list and a certification, then in delta mode (nothing new in the list). Beside it: bare signature checks.
 */
export const bench = async (): Promise<Result[]> => {
  const verifier = generateKeyPairSync('ed25519').privateKey;
  const hosts = Array.from({ length: HOSTS }, (_, i) => new BenchHost(verifier, i));
  const ticks = Array.from({ length: EPOCHS + 1 }, (_, i) => tickOf(verifier, i));
  const tick = (number: number): Placed => ({ host: '', name: 'Tick', value: encodeRecord('Tick', ticks[number]!) });
  const { schemas } = memoryLog();
  const engine = createEngine({
    fold: startupFold({ policies: [hostPolicyFromDocument(policyOfList(), 'bench')] }),
    partition: 0,
    schemas,
    keys: pinnedKeys([verifier]),
  });
  await judged(engine, [tick(0), ...hosts.flatMap((host) => host.enrol())]);
  // In portions, so that what the workload holds in memory does not count as the verifier's.
  let full = 0;
  for (let i = 0; i < HOSTS; i += PORTION) {
    const took = await judged(
      engine,
      hosts.slice(i, i + PORTION).flatMap((host) => [...host.list(), host.evidence(ticks[0]!)]),
    );
    // The first ones also pay for compiling what verifies them.
    if (i >= WARM) full += took;
  }
  let delta = 0;
  for (const [i, answered] of ticks.slice(1).entries())
    delta += await judged(engine, [tick(i + 1), ...hosts.map((host) => host.evidence(answered))]);
  const { deadLetters, verdicts } = engine.counts;
  if (deadLetters > 0 || verdicts !== 3 * HOSTS)
    throw new Error(`the workload is not flawless: ${deadLetters} dead letters, ${verdicts} verdicts`);
  const baseline = bareVerification();
  const row = (name: string, figure: number): Result => ({
    name,
    figure,
    unit: 'evidence/s',
    baseline,
    ratio: figure / baseline,
  });
  return [
    row(`delta, list of ${ENTRIES} entries`, (HOSTS * EPOCHS) / delta),
    row(`full, list of ${ENTRIES} entries`, (HOSTS - WARM) / full),
  ];
};
