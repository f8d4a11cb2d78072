import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { readExcludeFile } from '../../../schemas/keylime/flat-allowlist.js';
import { runtimePolicyOf } from '../../../schemas/keylime/from-host-policy.js';
import { readRuntimePolicy } from '../../../schemas/keylime/read-runtime-policy.js';
import { Remarks } from '../../../schemas/keylime/remark.js';
import { hostDocumentOf } from '../../../schemas/keylime/to-host-policy.js';
import { hostPolicyFromDocument } from '../../../schemas/policy/host/parse.js';

const A = 'ab'.repeat(32);
const B = 'cd'.repeat(20);
const C = 'ef'.repeat(64);
const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const KEY = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');

const RUNTIME = {
  meta: { version: 1, generator: 0 },
  release: 0,
  digests: { '/usr/bin/a': [A, B], '/usr/bin/[': [C] },
  excludes: ['/tmp/.*', '/usr/lib/python3\\.[0-9]+/.*\\.pyc$', '(/var/log|/var/cache)/.*'],
  keyrings: { '.ima': [A] },
  ima: { ignored_keyrings: ['.builtin_trusted_keys'], log_hash_alg: 'sha1', dm_policy: null },
  'ima-buf': {},
  'verification-keys': JSON.stringify({ meta: { version: 1 }, keyids: [0x0a0b0c0d], pubkeys: [KEY] }),
};

const imported = (policy: unknown, id = 'k') => {
  const remarks = new Remarks();
  const text = typeof policy === 'string' ? policy : JSON.stringify(policy);
  const read = readRuntimePolicy(text, 'k.json', remarks);
  const document = hostDocumentOf(read.policy, id, remarks);
  return { form: read.form, document, remarks, host: hostPolicyFromDocument(document, 'k.json') };
};

const lost = ({ all }: Remarks): string[] => all.filter(({ level }) => level === 'lost').map(({ at }) => at);

const exported = (more: object) => {
  const remarks = new Remarks();
  const document = { kind: 'host', id: 'h', unlisted: 'contraindicated', coverage: 'none', files: {}, ...more };
  return { runtime: runtimePolicyOf(hostPolicyFromDocument(document, 'h'), remarks), lost: lost(remarks) };
};

describe('a runtime policy', () => {
  test('becomes a policy of hosts, with what is lost by name', () => {
    const { form, document, remarks } = imported(RUNTIME);
    expect(form).toBe('runtime-policy');
    expect(document).toEqual({
      kind: 'host',
      id: 'k',
      files: {
        '/usr/bin/a': [`sha256:${A}`, `sha1:${B}`],
        '/usr/bin/[': `sha512:${C}`,
        '.ima': `sha256:${A}`,
      },
      signers: [{ name: expect.stringMatching(/^keylime [0-9a-f]{8}$/), key: KEY, id: '0a0b0c0d' }],
      exclude: [
        '/tmp/*',
        { regex: '/usr/lib/python3\\.[0-9]+/.*\\.pyc$' },
        { regex: '(/var/log|/var/cache)/.*' },
        '.builtin_trusted_keys',
      ],
      unlisted: 'contraindicated',
      coverage: 'none',
      weakDigests: 'allow',
    });
    expect(lost(remarks)).toEqual(['keyrings']);
    expect(remarks.all.filter(({ level }) => level === 'note').map(({ at }) => at)).toEqual(
      expect.arrayContaining(['meta.generator', 'ima.log_hash_alg', 'coverage', 'weakDigests']),
    );
  });

  test('comes back as it was, but for the order of digests and the own id of a key beside a stated one', () => {
    const { host } = imported(RUNTIME);
    const remarks = new Remarks();
    const back = runtimePolicyOf(host, remarks);
    const keyring = JSON.parse(back['verification-keys'] as string) as { keyids: number[]; pubkeys: string[] };
    expect({ ...back, 'verification-keys': '' }).toEqual({ ...RUNTIME, 'verification-keys': '' });
    expect(keyring.pubkeys).toEqual([KEY, KEY]);
    expect(keyring.keyids).toContain(0x0a0b0c0d);
    expect(lost(remarks)).toEqual([]);
    const again = imported(back);
    expect(again.host.digest).toBe(host.digest);
  });

  test('is read within an envelope, and its signatures are named as unchecked', () => {
    const payload = Buffer.from(JSON.stringify(RUNTIME)).toString('base64');
    const { host, remarks } = imported({ payloadType: 'x', payload, signatures: [] });
    expect(host.digest).toBe(imported(RUNTIME).host.digest);
    expect(remarks.all).toContainEqual(expect.objectContaining({ at: 'signatures', level: 'note' }));
  });

  test.each<[string, object, readonly string[]]>([
    ['a path with wildcards', { digests: { '/a*': [A] } }, ['digests["/a*"]']],
    ['a path with control characters', { digests: { '/a\n': [A] } }, ['digests["/a\\n"]']],
    ['a digest of another length', { digests: { '/a': [A.slice(2)] } }, ['digests["/a"]']],
    ['a digest in upper case', { digests: { '/a': [A.toUpperCase()] } }, ['digests["/a"]']],
    ['zeros', { digests: { '/a': ['0'.repeat(64)] } }, ['digests["/a"]']],
    ['a digest that is no text', { digests: { '/a': [7] } }, ['digests["/a"][0]']],
    ['an expression that looks ahead', { excludes: ['/a(?!b)'] }, ['excludes[0]']],
    ['every keyring', { ima: { ignored_keyrings: ['*'] } }, ['ima.ignored_keyrings[0]']],
    ['the device mapper', { ima: { dm_policy: { version: 1 } } }, ['ima.dm_policy']],
    ['what is not known', { more: 1, ima: { more: 1 } }, ['more', 'ima.more']],
    [
      'a key that is none',
      { 'verification-keys': '{"keyids":[1],"pubkeys":["AAAA"]}' },
      ['verification-keys.pubkeys[0]'],
    ],
    ['a keyring that is no JSON', { 'verification-keys': '{' }, ['verification-keys']],
    ['a buffer named like a file', { 'ima-buf': { '/a': [A] } }, ['ima-buf["/a"]']],
  ])('loses %s, and says so', (_, change, places) => {
    const { remarks } = imported({ ...RUNTIME, keyrings: {}, ...change });
    expect(lost(remarks)).toEqual(places);
  });

  test('of a newer version, or that is none, is refused', () => {
    expect(() => imported({ ...RUNTIME, meta: { version: 2 } })).toThrow('versions up to 1');
    expect(() => imported({ meta: { version: 1 } })).toThrow('neither "digests" nor "hashes"');
    expect(() => imported('{"digests":')).toThrow('not JSON');
    expect(() => imported('no allowlist')).toThrow('no line');
  });

  test('that excludes every path says so', () => {
    const { document, remarks } = imported({ ...RUNTIME, keyrings: {}, excludes: ['.*'] });
    expect(document['exclude']).toContain('*');
    expect(remarks.all).toContainEqual(expect.objectContaining({ at: 'excludes[0]', level: 'note' }));
  });
});

describe('an older allowlist', () => {
  test('as JSON', () => {
    const { form, host, remarks } = imported({
      meta: { version: 5, generator: 0, checksum: '' },
      release: 0,
      hashes: { '/bin/a': [A] },
      keyrings: {},
      ima: { ignored_keyrings: [], log_hash_alg: 'sha1' },
    });
    expect([form, host.files?.get(`sha256:${A}`)?.[0]?.path]).toEqual(['json-allowlist', '/bin/a']);
    expect(lost(remarks)).toEqual([]);
  });

  test('as text, with keyrings, and an exclude list beside it', () => {
    const { form, document, remarks } = imported(
      `# made today\n${A}  /bin/a\n${B} /bin/a b\n${A} %keyring:.ima\nnonsense\n`,
    );
    expect(form).toBe('flat-allowlist');
    expect(document['files']).toEqual({ '/bin/a': `sha256:${A}`, '/bin/a b': `sha1:${B}`, '.ima': `sha256:${A}` });
    expect(lost(remarks)).toEqual(['line 5', 'keyrings']);
    expect(readExcludeFile('# no\n\n /tmp/.*\n')).toEqual(['/tmp/.*']);
  });
});

describe('a policy of hosts, given to Keylime', () => {
  test.each<[string, object, readonly string[]]>([
    ['globs', { files: { '/bin/*': `sha256:${A}` } }, ['files["/bin/*"]']],
    ['windows', { files: { '/a': { digest: `sha256:${A}`, until: '2026-01-01T00:00:00Z' } } }, ['files["/a"]']],
    ['fs-verity', { files: { '/a': `verity:sha256:${A}` } }, ['files["/a"]']],
    ['MD5', { files: { '/a': `md5:${A.slice(0, 32)}` } }, ['files["/a"]']],
    ['a warning of SHA-1', { files: { '/a': `sha1:${B}` } }, ['files["/a"]']],
    ['denials', { deny: [`sha256:${A}`] }, ['deny']],
    ['what is not listed as a warning', { unlisted: 'warning' }, ['unlisted']],
    ['coverage', { coverage: { rules: 'tcb' } }, ['coverage']],
    ['a required agent', { agent: { '/a': `sha256:${A}` } }, ['agent']],
    ['signers for some paths', { signers: [{ name: 's', key: KEY, paths: ['/usr/*'] }] }, ['signers["s"]']],
    [
      'what is of the TPM',
      { safeClock: true, certify: 'epoch', staleAfter: 4 },
      ['certify', 'staleAfter', 'safeClock'],
    ],
  ])('loses %s, and says so', (_, change, places) => {
    expect(exported(change).lost).toEqual(places);
  });

  test('lists whole paths only, without what is denied, and lists what is required', () => {
    const { runtime } = exported({
      files: { '/a': [`sha256:${A}`, `sha512:${C}`], '/b*': `sha256:${A}` },
      deny: [{ digest: `sha512:${C}` }],
      agent: { '/agent': `sha256:${A}` },
      exclude: ['/var/lib/*', '/etc/*.conf', '/a?c', '.ima'],
    });
    expect(runtime['digests']).toEqual({ '/a': [A], '/agent': [A] });
    expect(runtime['excludes']).toEqual(['/var/lib/.*', '/etc/.*\\.conf$', '/a.c$']);
    expect(runtime['ima']).toMatchObject({ ignored_keyrings: ['.ima'] });
  });
});
