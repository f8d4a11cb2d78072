import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { parseHostPolicy } from '../../../schemas/policy/host/parse.js';
import { policyDigest } from '../../../schemas/policy/parse.js';

const HEX = 'ab'.repeat(32);
const PEM = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
  type: 'spki',
  format: 'pem',
}) as string;

const parse = (text: string) => parseHostPolicy(`kind: host\nid: h\n${text}`, 'p.yaml');

const wrong = (text: string): string => {
  try {
    parse(text);
  } catch (error) {
    return (error as Error).message;
  }
  return '';
};

describe('a policy of hosts', () => {
  test('holds defaults beside what it says, and is named by what it says alone', () => {
    const policy = parse('');
    expect(policy).toMatchObject({
      files: null,
      unlisted: 'warning',
      staleAfter: 3,
      certify: 'session',
      bindingPcr: 12,
    });
    expect(policy.coverage?.rules.length).toBeGreaterThan(5);
    expect(policy.digest).toBe(policyDigest({ kind: 'host', id: 'h' }));
    expect(parse('coverage: none').coverage).toBeNull();
  });

  test('reads files as a digest, a list, or windows', () => {
    const { files } = parse(
      `files:\n  /a: sha256:${HEX}\n  /b: [verity:sha256:${HEX}, {digest: SHA256:x, until: x}]`.replace(
        ', {digest: SHA256:x, until: x}',
        `, {digest: sha256:${HEX}, from: 2026-01-01T00:00:00Z, until: 2026-01-02T00:00:00+01:00}`,
      ),
    );
    expect(files!.get(`sha256:${HEX}`)).toEqual([
      { path: '/a', from: null, until: null },
      { path: '/b', from: 1_767_225_600_000_000, until: 1_767_308_400_000_000 },
    ]);
    expect(files!.get(`verity:sha256:${HEX}`)).toHaveLength(1);
  });

  test('reads keys of signers', () => {
    const text = JSON.stringify({
      kind: 'host',
      id: 'h',
      files: {},
      signers: [{ name: 's', key: PEM, paths: '/usr/*' }],
    });
    expect(parseHostPolicy(text, 'p').signers).toMatchObject([{ name: 's', paths: ['/usr/*'], key: { kind: 'ec' } }]);
  });

  test.each([
    ['fiels: {}', '3:1 fiels: unknown key "fiels"; did you mean "files"?'],
    [`files: {/a: sha256:12}`, 'files["/a"]: "sha256:12" is no digest; write sha256:HEX'],
    [
      `files: {/a: [{digest: sha256:${HEX}, until: tomorrow}]}`,
      'files["/a"][0].until: "tomorrow" is no time with a zone',
    ],
    ['firmware: [{name: a}]', 'firmware[0].pcrs: names no register'],
    [`firmware: [{pcrs: {sha257: {"0": ${HEX}}}}]`, 'no bank "sha257"; did you mean "sha256"?'],
    ['firmware: [{pcrs: {sha256: {"0": abc}}}]', 'not 64 hex digits'],
    ['unlisted: warnin', 'unlisted: "warnin" is none of contraindicated, warning, allow; did you mean "warning"?'],
    ['violations: {/x: -1}', 'violations["/x"]: neither a number nor "any"'],
    ['deny: [{reason: x}]', 'deny[0]: denies nothing'],
    ['coverage: {rules: nonsense}', 'coverage.rules: '],
    ['selection: sha256', 'selection: not a selection'],
    ['bindingPcr: 16', 'bindingPcr: not a whole number from 8 to 15'],
    ['bindingPcr: 10', "bindingPcr: register 10 is the kernel's own"],
    ['paddedBanks: [sha1]', 'no bank "sha1"'],
    ['tpmFirmware: [1]', 'not 16 hex digits'],
    ['staleAfter: 0', 'staleAfter: not a whole number'],
    ['signers: [{key: x}]', 'signers[0].key: '],
  ])('says where it is wrong: %s', (text, message) => {
    expect(wrong(text)).toContain(message);
  });
});
