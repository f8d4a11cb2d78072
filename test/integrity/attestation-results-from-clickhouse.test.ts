import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { withClickHouse } from '../support/embedded-clickhouse.js';
import { writeHostsTrace } from '../support/hosts-trace.js';
import { imaRecord, sha256 } from '../support/measured-files.js';
import { MeasuredHost, type Placed, policyText, VERIFIER } from '../support/measured-host.js';
import { cli } from '../support/run-cli.js';
import { temporaryFolder } from '../support/tmp.js';

const folder = temporaryFolder('ear');
const at = (name: string): string => join(folder, name);
const database = `embedded:${at('db')}`;
const ear = generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** Where the values of AR4SI (draft-ietf-rats-ar4si, 2.3.2) put a claim. */
const tierOf = (value: number): string => {
  if (value >= -1 && value <= 1) return 'none';
  if (value >= -32 && value <= 31) return 'affirming';
  return value >= -96 && value <= 95 ? 'warning' : 'contraindicated';
};
const TIERS = ['none', 'affirming', 'warning', 'contraindicated'];

interface Ear {
  readonly eat_profile: string;
  readonly iat: number;
  readonly 'ear.verifier-id': { readonly developer: string; readonly build: string };
  readonly submods: {
    readonly host: Readonly<Record<string, unknown>> & {
      readonly 'ear.status': string;
      readonly 'ear.trustworthiness-vector': Readonly<Record<string, number>>;
    };
  };
}

const claimsOf = (token: string): Ear => {
  const [head, claims, signature, ...more] = token.split('.') as [string, string, string];
  expect(more).toEqual([]);
  expect(JSON.parse(Buffer.from(head, 'base64url').toString())).toEqual({ alg: 'ES256', typ: 'JWT' });
  const key = { key: ear.publicKey, dsaEncoding: 'ieee-p1363' } as const;
  expect(verify('sha256', Buffer.from(`${head}.${claims}`), key, Buffer.from(signature, 'base64url'))).toBe(true);
  return JSON.parse(Buffer.from(claims, 'base64url').toString()) as Ear;
};

/** Hosts that end as what they are called. */
const lives = (): { readonly names: ReadonlyMap<string, string>; readonly records: Placed[][] } => {
  const numbers = new Map<string, number>();
  const names = ['affirming', 'warning', 'contraindicated', 'none'] as const;
  const hosts = names.map((name) => new MeasuredHost('ecdsa', VERIFIER, name, numbers));
  for (const [i, host] of hosts.entries()) {
    host.ready();
    host.evidence();
    host.tick();
    if (names[i] === 'warning') host.measure(imaRecord('/usr/bin/new', sha256('new'))).sendList();
    if (names[i] === 'contraindicated') host.measure(imaRecord('/usr/bin/bad', sha256('bad'))).sendList();
    // The ticks are the same for all: only one of the hosts says nothing more.
    host.tick(5);
    if (names[i] !== 'none') host.evidence();
  }
  return { names: new Map(hosts.map(({ host }, i) => [host, names[i]!])), records: hosts.map((host) => host.records) };
};

withClickHouse('the newest result of each host', () => {
  const { names, records } = lives();
  beforeAll(async () => {
    const deny = [`sha256:${sha256('bad').toString('hex')}`];
    writeFileSync(at('policy.json'), policyText({ deny }));
    writeFileSync(at('key.pem'), createPublicKey(VERIFIER).export({ type: 'spki', format: 'pem' }));
    writeFileSync(at('ear.pem'), ear.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    await writeHostsTrace(at('trace'), 3, records);
    const options = ['--policy', at('policy.json'), '--trust', at('key.pem'), '--clickhouse', database, '--once'];
    expect(await cli(['process', '--log', at('trace'), ...options])).toMatchObject({ code: 0 });
  }, 60_000);

  test('is a signed token each, with the claims that relying parties read', async () => {
    const ran = await cli(['verdicts', '--output', 'ear', '--ear-key', at('ear.pem'), '--clickhouse', database]);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    const results = ran.stdout.trimEnd().split('\n').map(claimsOf);
    const told = results.map(({ submods: { host } }) => [
      names.get(host['attestream.host'] as string),
      host['ear.status'],
    ]);
    expect(Object.fromEntries(told)).toEqual(Object.fromEntries(TIERS.map((tier) => [tier, tier])));
    expect(told).toHaveLength(TIERS.length);
    for (const result of results) {
      expect(result).toMatchObject({
        eat_profile: 'tag:github.com,2023:veraison/ear',
        iat: expect.any(Number),
        'ear.verifier-id': { developer: 'attestream', build: expect.stringMatching(/^\d/) },
        submods: {
          host: {
            'ear.appraisal-policy-id': expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
            'attestream.verdict': expect.stringMatching(/^[0-9a-f]{64}$/),
          },
        },
      });
      expect(Number.isInteger(result.iat)).toBe(true);
      const { 'ear.status': status, 'ear.trustworthiness-vector': vector } = result.submods.host;
      expect(Object.keys(vector).sort()).toEqual([
        'configuration',
        'executables',
        'file-system',
        'hardware',
        'instance-identity',
        'runtime-opaque',
        'sourced-data',
        'storage-opaque',
      ]);
      const worst = Math.max(...Object.values(vector).map((value) => TIERS.indexOf(tierOf(value))));
      expect([status, TIERS[worst]]).toEqual([status, status]);
    }
  });

  test('is what the newest verdict says, of the host that is asked for', async () => {
    const [host] = [...names].find(([, name]) => name === 'contraindicated')!;
    const options = ['--host', host, '--clickhouse', database];
    const { stdout } = await cli(['verdicts', '--output', 'ndjson', ...options]);
    const verdict = JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as { id: string; at: number; policy: string };
    const token = await cli(['verdicts', '--output', 'ear', '--ear-key', at('ear.pem'), ...options]);
    const result = claimsOf(token.stdout.trimEnd());
    expect(result.iat).toBe(Math.floor(verdict.at / 1_000_000));
    expect(result.submods.host).toMatchObject({
      'attestream.verdict': verdict.id,
      'ear.appraisal-policy-id': verdict.policy,
      'ear.trustworthiness-vector': { executables: 96 },
    });
  });

  test('needs a key on P-256', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    writeFileSync(at('other.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const ran = await cli(['verdicts', '--output', 'ear', '--ear-key', at('other.pem'), '--clickhouse', database]);
    expect(ran).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('P-256') });
  });
});
