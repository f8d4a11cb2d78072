import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { cli } from '../../support/run-cli.js';
import { temporaryFolder } from '../../support/tmp.js';

const folder = temporaryFolder('policy-show');
const HEX = 'ab'.repeat(32);
const KEY = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' });

const file = (name: string, content: unknown): string => {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};

const HOSTS = {
  kind: 'host',
  id: 'gateways',
  description: 'those\u001b[31m at the door',
  firmware: [{ name: 'June', pcrs: { sha256: { '0': HEX, '7': HEX } }, until: '2027-01-01T00:00:00Z' }],
  files: {
    '/a': `sha256:${HEX}`,
    '/b': [`verity:sha256:${HEX}`, { digest: `sha1:${HEX.slice(24)}`, from: '2026-01-01T00:00:00Z' }],
  },
  signers: [{ name: 'vendor', key: KEY, paths: ['/usr/*'] }],
  exclude: ['/tmp/*', { regex: '/var/(a|b)' }],
  violations: { '/var/log/*': 3, '/x': 'any' },
  coverage: { rules: 'tcb', policies: [`sha256:${HEX}`] },
};

describe('policy show', () => {
  test('says in words what hosts must be, with nothing that would act on a terminal', async () => {
    const { code, stdout } = await cli(['policy', 'show', file('hosts.json', HOSTS)]);
    expect(code).toBe(0);
    expect(stdout).not.toContain('\u001b');
    for (const words of [
      'gateways: a policy of hosts\nsha256:',
      '3 digests for 2 paths (1 sha256, 1 verity:sha256, 1 sha1), 1 of them for a time; anything else is a warning',
      '/tmp/*, regex /var/(a|b)',
      'vendor, ec ',
      'but for /var/log/* (3), /x (any)',
      'June: sha256:0, sha256:7, for a time',
      'of IMA must be proven, or one of 1 policy',
      'after 3 ticks without evidence',
    ])
      expect(stdout).toContain(words);
  });

  test('counts as JSON, under the digest that `policy check` gives', async () => {
    const path = file('hosts.json', HOSTS);
    const shown = JSON.parse((await cli(['policy', 'show', path, '--output', 'json'])).stdout) as object;
    const [checked] = JSON.parse((await cli(['policy', 'check', path, '--output', 'json'])).stdout) as object[];
    expect(shown).toMatchObject({
      kind: 'host',
      digest: (checked as { digest: string }).digest,
      files: { paths: 2, digests: 3, algorithms: { sha256: 1, 'verity:sha256': 1, sha1: 1 }, timed: 1 },
      signers: [{ name: 'vendor', kind: 'ec', paths: ['/usr/*'], timed: false }],
      violations: [
        { path: '/var/log/*', most: 3 },
        { path: '/x', most: 'any' },
      ],
      coverage: { policies: 1 },
    });
  });

  test('says what processes may do: functions, what of them leaves the host, states', async () => {
    const text = [
      'id: door',
      'functions: {open: {parameters: {badge: hash, level: {type: int, release: clear}}}, close: {}}',
      'machine:',
      '  initial: shut',
      '  context: {last: null}',
      '  states:',
      '    shut: {on: {open: {target: ajar, actions: {type: assign, params: {last: args.badge}}}}}',
      '    ajar: {initial: wide, states: {wide: {}, stuck: {tags: [violation]}}, on: {close: shut}, after: {1000: .stuck}}',
    ].join('\n');
    const path = file('door.yaml', text);
    const { stdout } = await cli(['policy', 'show', path]);
    for (const words of [
      'door: a policy of processes',
      'open(badge: hash, level: int clear)',
      'ajar.stuck [violation]',
    ])
      expect(stdout).toContain(words);
    expect(JSON.parse((await cli(['policy', 'show', path, '--output', 'json'])).stdout)).toMatchObject({
      kind: 'process',
      functions: [{ name: 'open' }, { name: 'close', parameters: [] }],
      states: [
        { name: 'shut', tags: [] },
        { name: 'ajar' },
        { name: 'ajar.wide' },
        { name: 'ajar.stuck', tags: ['violation'] },
      ],
    });
  });
});

describe('policy import keylime', () => {
  const POLICY = { meta: { version: 1 }, digests: { '/a': [HEX], '/b?': [HEX] }, excludes: ['\u001b(?=x)'] };

  test('writes the document, tells each loss by name even when it is to be quiet, and ends with 1', async () => {
    const out = join(folder, 'imported.json');
    const ran = await cli([
      'policy',
      'import',
      'keylime',
      file('runtime.json', POLICY),
      '--out',
      out,
      '--output',
      'json',
      '--quiet',
    ]);
    expect(ran.code).toBe(1);
    const lines = ran.stderr.trimEnd().split('\n');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toContain('not carried over: digests["/b?"]');
    expect(lines[1]).toContain('not carried over: excludes[0]');
    expect(lines[2]).toContain('2 things were not carried over');
    expect(ran.stderr).not.toContain('\u001b');
    const summary = JSON.parse(ran.stdout) as { digest: string; remarks: object[] };
    expect(summary).toMatchObject({ file: out, form: 'runtime-policy', id: 'runtime', digests: 1, excludes: 0 });
    expect(JSON.parse(readFileSync(out, 'utf8'))).toMatchObject({ files: { '/a': `sha256:${HEX}` } });
    const shown = JSON.parse((await cli(['policy', 'show', out, '--output', 'json'])).stdout) as { digest: string };
    expect(shown.digest).toBe(summary.digest);
  });

  test('refuses what is no policy, and a name that cannot be one', async () => {
    expect(await cli(['policy', 'import', 'keylime', file('x.json', '{}')])).toMatchObject({ code: 2, stdout: '' });
    expect(await cli(['policy', 'import', 'keylime', join(folder, 'none.json')])).toMatchObject({ code: 2 });
    const named = ['policy', 'import', 'keylime', file('y.json', POLICY), '--id', ''];
    expect(await cli(named)).toMatchObject({ code: 2, stdout: '' });
    expect(await cli(['policy', 'export', 'keylime', file('z.yaml', 'id: x\n')])).toMatchObject({ code: 2 });
  });
});
