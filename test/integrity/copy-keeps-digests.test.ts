import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { type CommandRan, digestsOf, succeed } from '../support/cli-run.js';
import { distProbe } from '../support/dist.js';
import { kafkaParts, withKafka } from '../support/kafka.js';
import { realPart } from '../support/real-part.js';
import { temporaryFolder } from '../support/tmp.js';
import { WORKLOAD_POLICY, writeWorkload } from '../support/workload.js';

const folder = temporaryFolder('copy-digest');
const at = (name: string): string => join(folder, name);
const policy = at('policy.yaml');

realPart('build', distProbe)('the shipped command', () => {
  withKafka('with a broker and a registry', () => {
    const parts = kafkaParts();
    const run = (args: readonly string[], codes = [0]): Promise<CommandRan> =>
      succeed(args, codes, { env: { ATTESTREAM_REGISTRY: parts.registry.url } });
    const replay = async (log: string) =>
      digestsOf(await run(['replay', log, '--policy', policy, '--output', 'ndjson'], [1]));

    beforeAll(async () => {
      writeWorkload(at('calls.ndjson'), {
        seed: 33,
        events: 20_000,
        hosts: 17,
        processesPerHost: 3,
        perMille: { wrong: 4, late: 40, unknown: 10, pause: 1 },
      });
      writeFileSync(policy, WORKLOAD_POLICY);
      const { privateKey, publicKey } = generateKeyPairSync('ed25519');
      writeFileSync(at('key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
      writeFileSync(at('key.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
    });

    test('a trace copied into Kafka and back, each with other partitions, replays to the same digests', async () => {
      const { uri } = parts.broker;
      await run(['import', at('calls.ndjson'), '--out', at('four'), '--partitions', '4']);
      await run(['copy', at('four'), uri, '--partitions', '7']);
      await run(['copy', uri, at('three'), '--partitions', '3']);
      const digests = await replay(at('four'));
      expect(digests.digest).toMatch(/^sha256:/);
      expect(await replay(uri)).toEqual(digests);
      expect(await replay(at('three'))).toEqual(digests);
    }, 120_000);

    test('under an assigned policy Kafka becomes verdicts, once, however often it is processed', async () => {
      const environment = { ATTESTREAM_REGISTRY: parts.registry.url, ATTESTREAM_PREFIX: 'assigned.' };
      const ask = (args: readonly string[]): Promise<CommandRan> => succeed(args, [0], { env: environment });
      const on = ['--log', parts.broker.uri];
      await ask(['topics', 'create', ...on, '--partitions', '5']);
      await ask(['policy', 'assign', policy, ...on, '--key', at('key.pem')]);
      await ask(['import', at('calls.ndjson'), ...on]);
      const process = ['process', ...on, '--trust', at('key.pub'), '--once', '--clickhouse', `embedded:${at('db')}`];
      await ask(process);
      const first = (await ask(['verdicts', '--clickhouse', `embedded:${at('db')}`, '--output', 'ndjson'])).stdout;
      expect(first.trimEnd().split('\n').length).toBeGreaterThan(100);
      await ask(process);
      expect((await ask(['verdicts', '--clickhouse', `embedded:${at('db')}`, '--output', 'ndjson'])).stdout).toBe(
        first,
      );
      await ask(['db', 'audit', '--clickhouse', `embedded:${at('db')}`, ...on]);
    }, 120_000);
  });
});
