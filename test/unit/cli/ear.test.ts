import { generateKeyPairSync, verify } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { signedToken } from '../../../cli/signed-token.js';
import { attestationResult, type PublishedHostVerdict } from '../../../processors/startup/ear.js';
import { cli } from '../../support/run-cli.js';

const verdict = (
  state: string,
  reasons: readonly object[] = [],
  notChecked: readonly string[] = [],
): PublishedHostVerdict =>
  ({
    id: 'ab',
    state,
    policy: 'sha256:cd',
    at: 1_700_000_000_500_000,
    subject: { host: 'h' },
    bindings: { reasons, notChecked },
  }) as PublishedHostVerdict;

const vector = (of: PublishedHostVerdict): unknown =>
  (attestationResult(of, { developer: 'd', build: 'b' })['submods'] as { host: Record<string, unknown> }).host[
    'ear.trustworthiness-vector'
  ];

test('an affirmed host is affirmed in what was checked', () => {
  expect(vector(verdict('affirming', [], ['firmware.prefix']))).toMatchObject({
    'instance-identity': 2,
    executables: 2,
    hardware: 0,
  });
});

test('what is found stands in the claim that it speaks of, and silence says nothing', () => {
  expect(vector(verdict('warning', [{ code: 'ima.unexplained', level: 'warning' }]))).toMatchObject({
    executables: 33,
  });
  expect(vector(verdict('contraindicated', [{ code: 'identity.cloned', level: 'contraindicated' }]))).toMatchObject({
    'instance-identity': 97,
  });
  expect(vector(verdict('contraindicated', [{ code: 'pcr.digest', level: 'contraindicated' }]))).toMatchObject({
    'sourced-data': 99,
  });
  expect(new Set(Object.values(vector(verdict('none')) as object))).toEqual(new Set([0]));
});

test('it is signed with ES256', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const token = signedToken(attestationResult(verdict('affirming'), { developer: 'd', build: 'b' }), privateKey);
  const [head, claims, signature] = token.split('.') as [string, string, string];
  const key = { key: publicKey, dsaEncoding: 'ieee-p1363' } as const;
  expect(verify('sha256', Buffer.from(`${head}.${claims}`), key, Buffer.from(signature, 'base64url'))).toBe(true);
  expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toMatchObject({
    eat_profile: 'tag:github.com,2023:veraison/ear',
    iat: 1_700_000_000,
    submods: { host: { 'ear.status': 'affirming', 'ear.appraisal-policy-id': 'sha256:cd' } },
  });
});

test('it needs a key, and is a form of verdicts alone', async () => {
  expect((await cli(['verdicts', '--output', 'ear', '--clickhouse', 'embedded:x'])).stderr).toContain('--ear-key');
  expect((await cli(['doctor', '--output', 'ear'])).stderr).toContain('only verdicts');
});
