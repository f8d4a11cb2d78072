import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { cli, type Ran } from '../support/run-cli.js';
import { type TestTpm, testTpm, withSwtpm } from '../support/swtpm.js';
import { temporaryFolder } from '../support/tmp.js';

const folder = temporaryFolder('host-commands');
const at = (name: string): string => join(folder, name);
const LOG = ['--log', at('trace')];
const JSON_OUT = ['--output', 'json'];

const keyPair = (name: string): void => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  writeFileSync(at(`${name}.pem`), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(at(`${name}.pub`), publicKey.export({ type: 'spki', format: 'pem' }));
};

interface Listed {
  readonly host: string;
  readonly state: string;
  readonly label: string;
  readonly ek: string;
}

withSwtpm('the commands of hosts', () => {
  const stop = new AbortController();
  const trust = ['--trust', at('verifier.pub'), '--trust', at('operator.pub')];
  const running: Promise<Ran>[] = [];
  let tpm: TestTpm;

  const list = async (): Promise<readonly Listed[]> =>
    JSON.parse((await cli(['host', 'list', ...LOG, ...trust, ...JSON_OUT])).stdout) as readonly Listed[];
  const until = async <T>(look: () => Promise<T | undefined>): Promise<T> => {
    for (let i = 0; i < 300; i++) {
      const found = await look();
      if (found !== undefined) return found;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error('it did not come');
  };

  beforeAll(async () => {
    keyPair('verifier');
    keyPair('operator');
    tpm = await testTpm(folder);
    expect(await cli(['topics', 'create', ...LOG, '--partitions', '2'])).toMatchObject({ code: 0 });
    const added = await cli([
      'roots',
      'add',
      tpm.rootCertificate,
      tpm.issuerCertificate,
      '--roots',
      at('roots'),
      ...JSON_OUT,
    ]);
    expect(JSON.parse(added.stdout)).toMatchObject([
      { kind: 'root', added: true },
      { kind: 'issuer', added: true },
    ]);
  }, 60_000);
  afterAll(async () => {
    stop.abort();
    await Promise.all(running);
  });

  test('lead a host from its request to its revocation', async () => {
    // Parts of it are loaded when they are needed, which jest allows within a test only.
    running.push(
      cli(
        [
          ...[
            'process',
            ...LOG,
            '--only',
            'startup',
            '--controller',
            at('verifier.pem'),
            '--trust',
            at('operator.pub'),
          ],
          ...['--tick', '200ms', '--roots', at('roots')],
        ],
        {},
        stop.signal,
      ),
    );
    const enrolling = cli(
      [
        'host',
        'enrol',
        ...LOG,
        '--tpm',
        tpm.address,
        '--trust',
        at('verifier.pub'),
        '--label',
        'pump-7',
        '--wait',
        '20s',
        ...JSON_OUT,
      ],
      {},
      stop.signal,
    );
    const { ek, host } = await until(async () => (await list())[0]);
    expect(await list()).toMatchObject([{ state: 'waiting', label: 'pump-7' }]);
    const key = ['--key', at('operator.pem')];
    expect(await cli(['host', 'approve', ek, '--label', 'pump-7', ...key, ...LOG])).toMatchObject({ code: 0 });
    const enrolled = await enrolling;
    expect(enrolled).toMatchObject({ code: 0, stderr: expect.stringContaining(`attestream host approve ${ek}`) });
    expect(JSON.parse(enrolled.stdout)).toMatchObject({ host, ek, basis: 'approved', notChecked: ['ek.revocation'] });
    expect(await list()).toMatchObject([{ host, state: 'enrolled', label: 'pump-7' }]);

    const agent = new AbortController();
    const attesting = cli(
      [
        'agent',
        ...LOG,
        '--tpm',
        tpm.address,
        '--trust',
        at('verifier.pub'),
        '--state',
        at('run'),
        '--min-interval',
        '1ms',
      ],
      { DOCKER_HOST: 'unix:///nowhere/docker.sock' },
      agent.signal,
    );
    const evidence = await until(async () => {
      const { stdout } = await cli(['trace', 'cat', at('trace'), '--topic', 'measurements', '--output', 'ndjson']);
      return stdout.split('\n').find((line) => line.includes('"Evidence"'));
    });
    expect(JSON.parse(evidence)).toMatchObject({ key: host });
    agent.abort();
    const { stderr } = await attesting;
    expect(stderr).toContain(`ready: host ${host}`);
    expect(stderr.match(/containers cannot be listed/g)).toHaveLength(1);

    expect(await cli(['host', 'revoke', 'pump-7', '--reason', 'stolen', ...key, ...LOG])).toMatchObject({ code: 0 });
    const shown = await cli(['host', 'show', host.slice(0, 12), ...LOG, ...trust, ...JSON_OUT]);
    expect(JSON.parse(shown.stdout)).toMatchObject({ host, state: 'revoked', reason: 'stolen', basis: 'approved' });
    const again = await cli([
      'host',
      'enrol',
      ...LOG,
      '--tpm',
      tpm.address,
      '--trust',
      at('verifier.pub'),
      '--wait',
      '20s',
    ]);
    expect(again).toMatchObject({ stderr: expect.stringMatching(/ENROL_REFUSED: .*it was revoked/) });
  }, 60_000);

  const OPERATOR = ['--key', at('operator.pem'), ...LOG];
  test.each<[string, readonly string[], RegExp]>([
    [
      'nothing is approved',
      ['host', 'approve', ...OPERATOR],
      /either the digest of an endorsement key or --trust-roots/,
    ],
    ['two things are', ['host', 'approve', 'ab'.repeat(32), '--trust-roots', ...OPERATOR], /either/],
    ['it is no digest', ['host', 'approve', 'pump', '--label', 'x', ...OPERATOR], /64 hex digits/],
    ['it has no name', ['host', 'approve', 'ab'.repeat(32), ...OPERATOR], /--label is missing/],
    ['no roots are there', ['host', 'approve', '--trust-roots', '--roots', at('none'), ...OPERATOR], /roots add FILE/],
    ['nobody is called so', ['host', 'revoke', 'nobody', ...OPERATOR], /HOST_UNKNOWN/],
    ['it is no certificate', ['roots', 'add', at('operator.pub'), '--roots', at('none')], /CERTIFICATE_INVALID/],
    ['it is no TPM', ['host', 'enrol', '--tpm', 'tpm0', '--trust', at('verifier.pub'), ...LOG], /is no TPM/],
    [
      'it is no algorithm',
      ['agent', '--algorithm', 'dsa', '--trust', at('verifier.pub'), ...LOG],
      /--algorithm is one of/,
    ],
    [
      'no engine can be there',
      ['agent', '--docker-host', 'ssh://gateway', '--trust', at('verifier.pub'), ...LOG],
      /neither unix:\/\/\/PATH nor tcp:/,
    ],
    [
      'no look is allowed',
      ['agent', '--budget', '0/s', '--trust', at('verifier.pub'), ...LOG],
      /--budget must be a rate/,
    ],
    ['no CPU is', ['agent', '--cpu', '2', '--trust', at('verifier.pub'), ...LOG], /--cpu must be a share/],
    ['nothing is withdrawn', ['policy', 'withdraw', 'pump', ...OPERATOR], /knows no assignment "pump"/],
    ['they are no registers', ['agent', '--pcrs', '0,1', '--trust', at('verifier.pub'), ...LOG], /PCR selection/],
  ])('are refused where %s', async (_why, argv, says) => {
    const { code, stderr } = await cli(argv);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringMatching(says) });
  });
});
