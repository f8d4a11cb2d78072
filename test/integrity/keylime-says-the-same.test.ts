import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { appraiseRecord, emptyAppraisal } from '../../processors/startup/appraisal/ima-appraisal.js';
import type { ImaRecord } from '../../schemas/ima/entry.js';
import { signingKey } from '../../schemas/ima/signing-key.js';
import { readRuntimePolicy } from '../../schemas/keylime/read-runtime-policy.js';
import { Remarks } from '../../schemas/keylime/remark.js';
import { hostDocumentOf } from '../../schemas/keylime/to-host-policy.js';
import type { HostPolicy } from '../../schemas/policy/host/host-policy.js';
import { hostPolicyFromDocument, parseHostPolicy } from '../../schemas/policy/host/parse.js';
import { makeBundle } from '../support/evidence-bundle.js';
import { CONTENT, certificateOf, SIGNATURES, signedRecord } from '../support/evmctl-vectors.js';
import { named, record } from '../support/ima-records.js';
import { appraisedByKeylime, withKeylime } from '../support/keylime.js';
import { extendRecord, imaRecord, sha256 } from '../support/measured-files.js';
import { FILES } from '../support/measured-host.js';
import '../support/seed.js';
import { cli } from '../support/run-cli.js';
import { temporaryFolder } from '../support/tmp.js';

const folder = temporaryFolder('keylime');
const hex = (text: string | Buffer): string => sha256(text).toString('hex');
const KEY = signingKey(certificateOf('rsa2048')).key.export({ type: 'spki', format: 'der' });
const KEY_BUFFER = certificateOf('rsa2048');
const SIGNED = SIGNATURES.find(({ name }) => name === 'rsa2048 sha256')!;

const POLICY = {
  meta: { version: 1, generator: 0 },
  release: 0,
  digests: Object.fromEntries(FILES.map((path) => [path, [hex(path)]])),
  excludes: ['/tmp/.*', '/usr/lib/python3\\.[0-9]+/.*\\.pyc$', '/boot/(vmlinuz|initrd)-\\d'],
  keyrings: { '.ima': [hex(KEY_BUFFER)] },
  ima: { ignored_keyrings: ['.ignored'], log_hash_alg: 'sha1', dm_policy: null },
  'ima-buf': { 'kexec-cmdline': [hex('console=ttyS0')] },
  'verification-keys': JSON.stringify({
    meta: { version: 1 },
    keyids: [Number.parseInt(signingKey(certificateOf('rsa2048')).ids[0]!, 16)],
    pubkeys: [KEY.toString('base64')],
  }),
};

const buffer = (name: string, content: Buffer): ImaRecord =>
  record('ima-buf', [named('sha256', sha256(content)), Buffer.from(`${name}\0`), content]);

/** Each with what both must say of it. */
const ENTRIES: readonly (readonly [what: string, record: ImaRecord, accepted: boolean])[] = [
  ...FILES.map((path) => ['a listed file', imaRecord(path, sha256(path)), true] as const),
  ['an unlisted file', imaRecord('/usr/bin/evil', sha256('evil')), false],
  ['a listed path with another digest', imaRecord(FILES[0]!, sha256('other')), false],
  ['a listed digest at another path', imaRecord('/usr/bin/copy', sha256(FILES[0]!)), false],
  ['an excluded path', imaRecord('/tmp/x', sha256('x')), true],
  ['a path that only begins like it', imaRecord('/tmpx', sha256('x')), false],
  ['a path that an expression excludes', imaRecord('/usr/lib/python3.11/a/b.pyc', sha256('x')), true],
  ['one that it does not reach the end of', imaRecord('/usr/lib/python3.11/a/b.pyc2', sha256('x')), false],
  ['one of several excluded', imaRecord('/boot/initrd-6.1', sha256('x')), true],
  ['a key in a keyring', buffer('.ima', KEY_BUFFER), true],
  ['another key in it', buffer('.ima', certificateOf('p256')), false],
  ['a key in a keyring that is ignored', buffer('.ignored', certificateOf('p256')), true],
  ['a key in a keyring that nobody knows', buffer('.unknown', certificateOf('p256')), false],
  ['a known buffer', buffer('kexec-cmdline', Buffer.from('console=ttyS0')), true],
  ['another buffer of that name', buffer('kexec-cmdline', Buffer.from('init=/bin/sh')), false],
  ['a file with a signature by a known key', signedRecord(SIGNED.hash, SIGNED.signature), true],
  ['the same by no known key', signedRecord('sha256', SIGNATURES.find(({ key }) => key === 'p256')!.signature), false],
  [
    'the same without one',
    record('ima-sig', [named('sha256', sha256(CONTENT)), Buffer.from('/bin/x\0'), Buffer.alloc(0)]),
    false,
  ],
];

const importOf = (given: object): HostPolicy => {
  const remarks = new Remarks();
  const { policy } = readRuntimePolicy(JSON.stringify(given), 'given', remarks);
  return hostPolicyFromDocument(hostDocumentOf(policy, 'given', remarks), 'given');
};

const isAccepted = (policy: HostPolicy, one: ImaRecord): boolean => {
  // The first entry of a list is not a file.
  const appraisal = { ...emptyAppraisal(), entries: 1 };
  appraiseRecord(appraisal, policy, one, 0);
  return appraisal.findings.size === 0;
};

withKeylime('a list is judged', () => {
  let hosts: string;
  let policy: HostPolicy;
  let back: string;
  beforeAll(async () => {
    const [given, host, exported] = ['given.json', 'host.json', 'exported.json'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(given, JSON.stringify(POLICY));
    expect(await cli(['policy', 'import', 'keylime', given, '--out', host])).toMatchObject({ code: 1 });
    expect(await cli(['policy', 'export', 'keylime', host, '--out', exported])).toMatchObject({ code: 0 });
    hosts = host;
    policy = parseHostPolicy(readFileSync(host, 'utf8'), host);
    back = readFileSync(exported, 'utf8');
  });

  test('entry by entry as Keylime does, by its own policy and by the one that we give back', () => {
    const list = ENTRIES.map(([, one]) => one);
    const named = (answers: readonly boolean[]): object =>
      Object.fromEntries(answers.map((answer, i) => [`${i} ${ENTRIES[i]![0]}`, answer]));
    const expected = named(ENTRIES.map(([, , accepted]) => accepted));
    expect(named(list.map((one) => isAccepted(policy, one)))).toEqual(expected);
    for (const text of [JSON.stringify(POLICY), back]) {
      const theirs = appraisedByKeylime(folder, list, text);
      expect(named(theirs.each)).toEqual(expected);
      expect(theirs.accepted).toBe(false);
    }
  });

  test('as a whole by `evidence verify` as Keylime does', async () => {
    const verdictOf = async (which: (accepted: boolean) => boolean): Promise<readonly [string, boolean]> => {
      const { json, list } = makeBundle('ecdsa', {
        before: (tpm, all) => {
          for (const [, one, accepted] of ENTRIES.slice(FILES.length)) {
            if (!which(accepted)) continue;
            all.push(one);
            extendRecord(tpm, one);
          }
        },
      });
      const file = join(folder, 'bundle.json');
      writeFileSync(file, JSON.stringify(json));
      const ran = await cli(['evidence', 'verify', file, '--self-contained', '--policy', hosts, '--output', 'json']);
      const theirs = appraisedByKeylime(folder, list.slice(1), back);
      return [(JSON.parse(ran.stdout) as { result: string }).result, theirs.accepted];
    };
    expect(await verdictOf((accepted) => accepted)).toEqual(['affirming', true]);
    expect(await verdictOf(() => true)).toEqual(['contraindicated', false]);
  });

  test('the same whatever is excluded and listed', () => {
    const part = fc.constantFrom('a', 'b', 'ab', '.', '/', '-1', '.pyc');
    const path = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => `/${parts.join('')}`);
    const expression = fc
      .array(fc.constantFrom('a', 'b', '/', '.', '.*', '\\.', '[ab]', '\\d', 'a+', '(a|b)', '(?:/a)?', '-?', '$'), {
        maxLength: 5,
      })
      .map((parts) => `/${parts.join('')}`);
    const samples = fc.sample(
      fc.record({
        listed: fc.array(path, { maxLength: 5 }),
        measured: fc.array(path, { minLength: 30, maxLength: 30 }),
        excludes: fc.array(expression, { minLength: 1, maxLength: 3 }),
      }),
      4,
    );
    let excluded = 0;
    for (const { listed, measured, excludes } of samples) {
      const given = { ...POLICY, digests: Object.fromEntries(listed.map((name) => [name, [hex('x')]])), excludes };
      const list = [...measured, ...listed].map((name, i) => imaRecord(name, sha256(i % 3 === 0 ? 'y' : 'x')));
      const ours = importOf(given);
      const answers = list.map((one) => isAccepted(ours, one));
      excluded += answers.filter(Boolean).length;
      expect({ excludes, answers }).toEqual({
        excludes,
        answers: appraisedByKeylime(folder, list, JSON.stringify(given)).each,
      });
    }
    expect(excluded).toBeGreaterThan(20);
  });
});
