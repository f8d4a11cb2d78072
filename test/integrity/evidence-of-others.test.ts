import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { binaryList } from '../support/evidence-bundle.js';
import { quoteReadByKeylime, withKeylime } from '../support/keylime.js';
import { imaRecord, sha256 } from '../support/measured-files.js';
import { cli } from '../support/run-cli.js';
import { type TestTpm, testTpm, withSwtpm } from '../support/swtpm.js';
import { temporaryFolder } from '../support/tmp.js';

const folder = temporaryFolder('others');
const NONCE = '00112233445566778899aabbccddeeff';
const LIST = ['/init', '/bin/sh', '/etc/passwd'].map((path) => imaRecord(path, sha256(path)));

interface Answer {
  readonly result: string;
  readonly anchored: boolean;
  readonly reasons: readonly { readonly code: string }[];
  readonly passed: readonly string[];
  readonly notChecked: readonly string[];
}

const verify = async (bundle: object, ...options: string[]): Promise<Answer> => {
  const path = join(folder, 'bundle.json');
  writeFileSync(path, JSON.stringify(bundle));
  const { stdout, stderr } = await cli(['evidence', 'verify', path, '--output', 'json', ...options]);
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as Answer;
};

/** Register 10 after the list. */
const sha256Value = (list: typeof LIST): Buffer =>
  list.reduce<Buffer>(
    (value, { data }) => sha256(Buffer.concat([value, sha256(data)])),
    Buffer.from(new Uint8Array(32)),
  );

withSwtpm('evidence that tpm2-tools made', () => {
  let machine: TestTpm;
  let bundle: Record<string, unknown>;
  /** Each of the tools leaves its objects in the TPM, which has room for three. */
  const tool = (program: string, ...args: string[]): void => {
    machine.tool(program, ...args);
    machine.tool('tpm2_flushcontext', '-t');
  };
  const file = (name: string): string => readFileSync(join(machine.folder, name)).toString('base64');

  beforeAll(async () => {
    machine = await testTpm(folder);
    for (const record of LIST) tool('tpm2_pcrextend', `10:sha256=${sha256(record.data).toString('hex')}`);
    tool('tpm2_createek', '-c', 'ek.ctx', '-G', 'ecc', '-u', 'ek.pub');
    const key = ['-G', 'ecc', '-g', 'sha256', '-s', 'ecdsa'];
    tool('tpm2_createak', '-C', 'ek.ctx', '-c', 'ak1.ctx', ...key, '-u', 'ak1.pub', '-n', 'ak1.name');
    tool('tpm2_createak', '-C', 'ek.ctx', '-c', 'ak2.ctx', ...key, '-u', 'ak2.pub', '-f', 'pem', '-n', 'ak2.name');
    tool('tpm2_readpublic', '-c', 'ak2.ctx', '-o', 'ak2.tss');
    tool('tpm2_certify', '-C', 'ak1.ctx', '-c', 'ak2.ctx', '-g', 'sha256', '-o', 'certify.msg', '-s', 'certify.sig');
    const selection = ['-l', 'sha256:0,10,12', '-q', NONCE];
    const out = ['-m', 'quote.msg', '-s', 'quote.sig', '-o', 'quote.pcrs'];
    tool('tpm2_quote', '-c', 'ak2.ctx', '-g', 'sha256', ...selection, ...out);
    bundle = {
      enrolled: { ekPublic: file('ek.pub'), aik1Name: readFileSync(join(machine.folder, 'ak1.name')).toString('hex') },
      aik1Public: file('ak1.pub'),
      aik2Public: file('ak2.tss'),
      certify: { attest: file('certify.msg'), signature: file('certify.sig') },
      quote: {
        attest: file('quote.msg'),
        signature: file('quote.sig'),
        qualifyingData: NONCE,
        selection: { sha256: [0, 10, 12] },
      },
      pcrs: file('quote.pcrs'),
      logs: [{ kind: 'ima', format: 'binary', data: binaryList(LIST).toString('base64') }],
    };
  }, 60_000);

  test('is affirmed with both keys, and qualified names hold along the chain', async () => {
    const answer = await verify(bundle, '--self-contained');
    expect(answer).toMatchObject({ result: 'affirming', anchored: true, reasons: [] });
    expect(answer.passed).toEqual(
      expect.arrayContaining(['certify.qn', 'quote.signer', 'aik2.attributes', 'pcr.digest', 'ima.prefix']),
    );
    expect(answer.notChecked).toContain('certify.nonce');
  });

  test('is checked as far as it goes with one key as PEM', async () => {
    const alone = {
      aik2Public: readFileSync(join(machine.folder, 'ak2.pub'), 'latin1'),
      quote: bundle['quote'],
      pcrs: bundle['pcrs'],
    };
    const answer = await verify(alone, '--require', 'quote,pcrs');
    expect(answer).toMatchObject({ result: 'none', anchored: false });
    expect(answer.passed).toEqual(expect.arrayContaining(['quote.signature', 'quote.nonce', 'pcr.digest']));
    expect(answer.notChecked).toEqual(expect.arrayContaining(['identity', 'qn', 'certify', 'aik2.attributes']));
  });

  test('is verified as the text that an agent of Keylime sends', async () => {
    const text = `r${['quote.msg', 'quote.sig', 'quote.pcrs'].map(file).join(':')}`;
    const { aik1Public, aik2Public, certify, enrolled, logs } = bundle;
    const keys = { aik1Public, aik2Public, certify, enrolled, logs };
    const quote = { keylime: text, qualifyingData: NONCE, selection: { sha256: [0, 10, 12] } };
    const answer = await verify({ ...keys, quote }, '--self-contained');
    expect(answer).toMatchObject({ result: 'affirming', reasons: [] });
    expect(answer.passed).toEqual(
      expect.arrayContaining(['quote.nonce', 'quote.selection', 'pcr.digest', 'ima.prefix']),
    );

    const alone = { aik2Public: readFileSync(join(machine.folder, 'ak2.pub'), 'latin1'), logs };
    const bare = await verify({ ...alone, quote: text });
    expect(bare).toMatchObject({ result: 'none', anchored: false });
    expect(bare.passed).toEqual(expect.arrayContaining(['quote.signature', 'pcr.digest', 'ima.prefix']));
    expect(bare.notChecked).toContain('quote.nonce');

    const codes = async (change: object): Promise<string[]> =>
      (await verify({ ...keys, quote: { ...quote, ...change } }, '--self-contained')).reasons.map(({ code }) => code);
    expect(await codes({ qualifyingData: 'aa' })).toEqual(['quote.nonce']);
    expect(await codes({ selection: { sha256: [0, 7, 10, 12] } })).toEqual(['quote.selection']);
    const values = Buffer.from(file('quote.pcrs'), 'base64');
    values[values.indexOf(sha256Value(LIST))]! ^= 1;
    const other = `r${file('quote.msg')}:${file('quote.sig')}:${values.toString('base64')}`;
    expect(await codes({ keylime: other })).toEqual(['pcr.digest']);
  });

  withKeylime('and Keylime itself', () => {
    test('takes that text, reads the same registers, and refuses what we refuse', () => {
      const pem = readFileSync(join(machine.folder, 'ak2.pub'), 'latin1');
      const text = `r${['quote.msg', 'quote.sig', 'quote.pcrs'].map(file).join(':')}`;
      const read = (nonce: Buffer): Readonly<Record<string, string>> =>
        quoteReadByKeylime(machine.folder, pem, nonce, text);
      const registers = read(Buffer.from(NONCE, 'hex'));
      expect(Object.keys(registers).sort()).toEqual(['0', '10', '12']);
      expect(registers['10']).toContain(sha256Value(LIST).toString('hex'));
      expect(() => read(Buffer.from('another'))).toThrow('nonce');
    });
  });

  test('is not believed with the list of another machine, another nonce or another key', async () => {
    const codes = async (change: object): Promise<string[]> =>
      (await verify({ ...bundle, ...change }, '--self-contained')).reasons.map(({ code }) => code);
    const list = binaryList(LIST.slice(1)).toString('base64');
    expect(await codes({ logs: [{ kind: 'ima', data: list }] })).toEqual(['ima.prefix']);
    expect(await codes({ quote: { ...(bundle['quote'] as object), qualifyingData: 'aa' } })).toEqual(['quote.nonce']);
    expect(await codes({ aik2Public: file('ak1.pub') })).toEqual(['certify.name']);
  });

  test('and what we collect is affirmed too, and taken by tpm2_checkquote', async () => {
    const out = join(machine.folder, 'ours.json');
    const list = join(machine.folder, 'list.bin');
    writeFileSync(list, binaryList(LIST));
    const collected = await cli([
      'evidence',
      'collect',
      '--nonce',
      NONCE,
      '--pcrs',
      'sha256:0,10,12',
      '--ima-list',
      list,
      '--out',
      out,
      '--tpm',
      machine.address,
    ]);
    expect(collected).toMatchObject({ code: 0 });
    const ours = JSON.parse(readFileSync(out, 'utf8')) as Record<string, Record<string, string>>;
    const answer = await verify(ours, '--self-contained');
    expect(answer).toMatchObject({ result: 'affirming', reasons: [] });
    const bytes = (text: string): Buffer => Buffer.from(text, 'base64');
    writeFileSync(join(machine.folder, 'our.msg'), bytes(ours['quote']!['attest']!));
    writeFileSync(join(machine.folder, 'our.sig'), bytes(ours['quote']!['signature']!));
    const area = bytes(ours['aik2Public'] as unknown as string);
    const size = Buffer.alloc(2);
    size.writeUInt16BE(area.length);
    writeFileSync(join(machine.folder, 'our.pub'), Buffer.concat([size, area]));
    machine.tool('tpm2_checkquote', '-u', 'our.pub', '-m', 'our.msg', '-s', 'our.sig', '-g', 'sha256', '-q', NONCE);
  });
});
