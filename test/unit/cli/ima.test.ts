import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { Interrupted } from '../../../cli/exit.js';
import { expectedPcr } from '../../../cli/ima-expectation.js';
import { binaryList, ngRecord } from '../../support/ima-records.js';
import { cli } from '../../support/run-cli.js';
import { ROOT } from '../../support/sources.js';
import { temporaryFolder } from '../../support/tmp.js';

const folder = temporaryFolder('ima');
const CASES = join(ROOT, 'test/conformance/ima');
const list = join(CASES, 'ima-sig.bin');
const VALUE = (
  JSON.parse(readFileSync(join(CASES, 'all-banks.case.json'), 'utf8')) as {
    stdout: { banks: { sha256: { 'per-bank': { 10: string } } } };
  }
).stdout.banks.sha256['per-bank'][10];

describe('attestream ima replay', () => {
  test('tells a person the values in full, and what explains them', async () => {
    const { code, stdout } = await cli(['ima', 'replay', list, '--expect', `SHA256:10=${VALUE.toUpperCase()}`]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^entries +29, binary, little-endian$/m);
    expect(stdout).toContain(`${VALUE} per-bank, as expected`);
    expect(stdout).toMatch(/^explained +by the first 29 of 29 entries$/m);
  });

  test('ends with 1 where nothing explains a value, and says how near it came', async () => {
    const { code, stderr } = await cli([
      'ima',
      'replay',
      list,
      '--expect',
      `sha256:10=${VALUE}`,
      '--expect',
      `sha256:11=${VALUE}`,
    ]);
    expect(code).toBe(1);
    expect(stderr).toContain('the first 29 of 29 entries explain sha256:10; sha256:11 is explained by none');
    const none = await cli(['ima', 'replay', list, '--expect', `sha256:11=${VALUE}`]);
    expect(none.stderr).toContain('no prefix of the 29 entries explains any expected value');
  });

  test('control characters of a hostile list do not reach the terminal', async () => {
    const path = join(folder, 'hostile.bin');
    writeFileSync(path, binaryList([ngRecord('\u001b[2Jboot_aggregate', 'x')]));
    expect((await cli(['ima', 'replay', path])).stdout).not.toContain('\u001b');
  });

  test('files and keys that cannot be used are usage errors', async () => {
    for (const argv of [
      ['ima', 'replay', join(folder, 'none')],
      ['ima', 'replay', folder],
      ['ima', 'replay', list, '--signatures', list],
      ['ima', 'replay', list, '--format', 'xml'],
      ['ima', 'replay', list, list],
    ]) {
      const { code, stderr } = await cli(argv);
      expect([argv, code]).toEqual([argv, 2]);
      expect(stderr).toMatch(/^attestream: [A-Z_]+: /);
    }
  });

  test('an empty list is a list', async () => {
    const path = join(folder, 'empty.bin');
    writeFileSync(path, '');
    const { code, stdout } = await cli(['ima', 'replay', path, '--output', 'json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ entries: 0, bootAggregate: null, prefix: null, byteOrder: null });
  });

  test('ends when it is interrupted', async () => {
    const { code } = await cli(['ima', 'replay', list], {}, AbortSignal.abort(new Interrupted('SIGINT')));
    expect(code).toBe(130);
  });
});

test('expected values are read exactly', () => {
  expect(expectedPcr(`sha1:0=${'ab'.repeat(20)}`)).toEqual({ bank: 'sha1', pcr: 0, value: Buffer.alloc(20, 0xab) });
  for (const text of [
    '',
    'sha1:10',
    `sha1:10=${'00'.repeat(19)}`,
    `sha1:24=${'00'.repeat(20)}`,
    `md5:1=${'00'.repeat(16)}`,
    `sha1:-1=${'00'.repeat(20)}`,
  ])
    expect(() => expectedPcr(text)).toThrow(expect.objectContaining({ code: 'USAGE' }));
});
