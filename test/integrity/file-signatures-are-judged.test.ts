import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { signingKey } from '../../schemas/ima/signing-key.js';
import { writeHostsTrace } from '../support/hosts-trace.js';
import { imaRecord, sha256 } from '../support/measured-files.js';
import { MeasuredHost, policyText, VERIFIER } from '../support/measured-host.js';
import { cli } from '../support/run-cli.js';
import { temporaryFolder } from '../support/tmp.js';

const folder = temporaryFolder('signatures');
const rsa = (): { publicKey: KeyObject; privateKey: KeyObject } => generateKeyPairSync('rsa', { modulusLength: 2048 });
const vendor = rsa();
const stranger = rsa();
const pem = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }) as string;
const idOf = (key: KeyObject): string => signingKey(Buffer.from(pem(key))).ids[0]!;

/** security.ima of version 2 over SHA-256, by one key and in the name of one: the same, unless somebody lies. */
const signature = (content: string, by: KeyObject, named: KeyObject): Buffer => {
  const value = sign('sha256', Buffer.from(content), by);
  const size = Buffer.alloc(2);
  size.writeUInt16BE(value.length);
  return Buffer.concat([Buffer.from([3, 2, 4]), Buffer.from(idOf(named), 'hex'), size, value]);
};

const signed = (path: string, by: KeyObject, named: KeyObject) =>
  imaRecord(path, sha256(path), { signature: signature(path, by, named) });

interface Row {
  readonly state: string;
  readonly bindings: { readonly reasons?: readonly { readonly code: string; readonly examples: readonly string[] }[] };
}

/** The newest verdict on a host that measured this file after it was affirmed. */
const newest = async (name: string, record: ReturnType<typeof imaRecord>): Promise<Row> => {
  const host = new MeasuredHost().ready();
  host.evidence();
  host.tick();
  host.measure(record).sendList().evidence();
  const trace = join(folder, name);
  await writeHostsTrace(trace, 2, [host.records]);
  const options = ['--policy', join(folder, 'policy.json'), '--trust', join(folder, 'key.pem'), '--output', 'ndjson'];
  const { stdout } = await cli(['replay', trace, ...options]);
  const rows = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Row);
  expect(rows.map(({ state }) => state)).toContain('affirming');
  return rows.at(-1)!;
};

const reasonsOf = ({ bindings }: Row): string[] => (bindings.reasons ?? []).map(({ code }) => code);

beforeAll(() => {
  const signers = [{ name: 'vendor', key: pem(vendor.publicKey), paths: ['/opt/*'] }];
  writeFileSync(join(folder, 'policy.json'), policyText({ signers, exclude: ['/opt/excluded'] }));
  writeFileSync(join(folder, 'key.pem'), pem(createPublicKey(VERIFIER)));
});

test('a file signed by a key of the policy is explained by it', async () => {
  const row = await newest('good', signed('/opt/tool', vendor.privateKey, vendor.publicKey));
  expect([row.state, reasonsOf(row)]).toEqual(['affirming', []]);
});

test("a file signed by another key in the name of the policy's contraindicates, and is named", async () => {
  const row = await newest('forged', signed('/opt/tool', stranger.privateKey, vendor.publicKey));
  expect(row.state).toBe('contraindicated');
  expect(reasonsOf(row)).toContain('ima.signature');
  expect(row.bindings.reasons!.find(({ code }) => code === 'ima.signature')!.examples[0]).toContain('/opt/tool');
});

test('so does a signature that belongs to another file, also where files are not judged', async () => {
  const moved = signature('/opt/other', vendor.privateKey, vendor.publicKey);
  const row = await newest('moved', imaRecord('/opt/excluded', sha256('/opt/excluded'), { signature: moved }));
  expect([row.state, reasonsOf(row)]).toEqual(['contraindicated', ['ima.signature']]);
});

test('a signature by a key that nobody knows, or of a key for other paths, explains nothing', async () => {
  const strange = await newest('strange', signed('/opt/tool', stranger.privateKey, stranger.publicKey));
  expect([strange.state, reasonsOf(strange)]).toEqual(['warning', ['ima.unexplained']]);
  const elsewhere = await newest('elsewhere', signed('/usr/bin/tool', vendor.privateKey, vendor.publicKey));
  expect([elsewhere.state, reasonsOf(elsewhere)]).toEqual(['warning', ['ima.unexplained']]);
});
