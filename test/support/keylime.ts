import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { keylimeIsHere, keylimePeer } from '../../bench/peer-keylime.js';
import type { ImaRecord } from '../../schemas/ima/entry.js';
import { imaEntry } from '../../schemas/ima/entry.js';
import { realPart } from './real-part.js';

/** Tests against Keylime itself. Only where everything is required it is fetched for them. */
export const withKeylime = realPart('Keylime', () => {
  if (!keylimeIsHere() && process.env['ATTESTREAM_TEST_REQUIRE'] !== 'all')
    return 'it was not fetched yet, which npm run bench -- ima-replay does';
  const peer = keylimePeer();
  return 'missing' in peer ? peer.missing : null;
});

/** A record of template ima-ng, ima-sig or ima-buf as the kernel's list in text has it. */
export const asciiLine = (record: ImaRecord): string => {
  const { fileDigest, name, signature } = imaEntry(record);
  const fields = [`${fileDigest!.algorithm}:${fileDigest!.digest.toString('hex')}`, name!];
  if (record.template === 'ima-sig') fields.push(signature?.toString('hex') ?? '');
  if (record.template === 'ima-buf') fields.push(lastField(record.data).toString('hex'));
  return `${record.pcr} ${record.templateDigest.toString('hex')} ${record.template} ${fields.join(' ')}\n`;
};

const lastField = (data: Buffer): Buffer => {
  let at = 0;
  for (let end = 0; ; at = end) {
    end = at + 4 + data.readUInt32LE(at);
    if (end >= data.length) return data.subarray(at + 4);
  }
};

export interface KeylimeAnswer {
  readonly value: string;
  readonly accepted: boolean;
  /** Of each entry alone. */
  readonly each: readonly boolean[];
}

/** Keylime's word on a list under a runtime policy. Throws with its own words if it does not take the policy. */
export const appraisedByKeylime = (folder: string, list: readonly ImaRecord[], policy: string): KeylimeAnswer => {
  const peer = keylimePeer();
  if ('missing' in peer) throw new Error(peer.missing);
  const [listFile, policyFile] = [join(folder, 'list.txt'), join(folder, 'runtime-policy.json')];
  writeFileSync(listFile, list.map(asciiLine).join(''));
  writeFileSync(policyFile, policy);
  const { python, source, env } = peer;
  const args = [join(source, 'appraise.py'), listFile, policyFile];
  return JSON.parse(
    execFileSync(python, args, { env, encoding: 'utf8', timeout: 120_000, stdio: 'pipe' }),
  ) as KeylimeAnswer;
};

/** Registers of a quote, in hex by number, as Keylime's verifier reads them. Throws with its own words if it refuses the quote. */
export const quoteReadByKeylime = (
  folder: string,
  pem: string,
  nonce: Buffer,
  quote: string,
): Readonly<Record<string, string>> => {
  const peer = keylimePeer();
  if ('missing' in peer) throw new Error(peer.missing);
  const [key, text] = [join(folder, 'keylime.pem'), join(folder, 'keylime.quote')];
  writeFileSync(key, pem);
  writeFileSync(text, quote);
  const { python, source, env } = peer;
  const args = [join(source, 'quote.py'), key, nonce.toString('base64'), text];
  return JSON.parse(execFileSync(python, args, { env, encoding: 'utf8', timeout: 60_000, stdio: 'pipe' })) as Record<
    string,
    string
  >;
};
