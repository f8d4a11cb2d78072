import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { memoryLog } from '../../../infra/log/memory-log.js';
import { runDigest } from '../../../processors/engine/digest.js';
import { pinnedKeys, signRecord } from '../../../schemas/signed.js';
import { activation, engineFor, type Said, THERMOSTAT, write } from '../../support/runtime.js';

const { privateKey } = generateKeyPairSync('ed25519');

const tick = (number: number, issued: number): Said<'Tick'> => ({
  host: '',
  type: 'Tick',
  record: signRecord(
    'Tick',
    { number, nonce: Buffer.alloc(32), issued, interval: 1, grace: 0, k: 1, selection: '' },
    privateKey,
  ),
});

const judged = async (hosts: readonly string[]) => {
  const log = memoryLog();
  const said = [
    ...hosts.map((host) => activation(host, 0, 1_000_000, 'read_sensor')),
    ...hosts.map((host) => activation(host, 1, 1_000_001, 'actuate', { level: 3 })),
    tick(0, 2_000_000),
    tick(1, 60_000_000),
  ];
  await write(log, said);
  const engine = engineFor(log, THERMOSTAT, pinnedKeys([privateKey]));
  for await (const batch of log.read({ topic: 'memory', partition: 0 }, 0, said.length)) engine.push(batch);
  return { digests: [...engine.digests()], verdicts: engine.counts.verdicts };
};

test('a tick that lets deadlines of several hosts pass says the same of each, whoever stands beside it', async () => {
  const together = await judged(['a', 'b', 'c']);
  const apart = await Promise.all(['a', 'b', 'c'].map((host) => judged([host])));
  expect(together.verdicts).toBe(6);
  expect(runDigest(together.digests, 'head')).toBe(
    runDigest(
      apart.flatMap(({ digests }) => digests),
      'head',
    ),
  );
});
