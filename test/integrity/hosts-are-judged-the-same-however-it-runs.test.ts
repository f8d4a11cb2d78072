import { createPublicKey } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { recordsOf } from '../../infra/log/records.js';
import { openTrace } from '../../infra/log/trace/trace-log.js';
import { runStartupProcessor } from '../../processors/run/startup-processor.js';
import { isSigned, pinnedKeys } from '../../schemas/signed.js';
import { type CommandRan, digestsOf, succeed } from '../support/cli-run.js';
import { distProbe } from '../support/dist.js';
import { writeHostsTrace } from '../support/hosts-trace.js';
import { imaRecord, sha256 } from '../support/measured-files.js';
import { MeasuredHost, type Placed, policyText, VERIFIER } from '../support/measured-host.js';
import { realPart } from '../support/real-part.js';
import { cli } from '../support/run-cli.js';
import { temporaryFolder } from '../support/tmp.js';

const folder = temporaryFolder('hosts');
const policy = join(folder, 'policy.json');
const key = join(folder, 'verifier.pub');

/** Lives of several hosts, one beat after the other, as a log holds them: what the verifier says stands in every partition. */
const lives = (): Placed[][] => {
  const numbers = new Map<string, number>();
  const hosts = Array.from({ length: 5 }, (_, i) => new MeasuredHost('ecdsa', VERIFIER, `host ${i}`, numbers));
  const said: Placed[][] = [];
  for (const [i, host] of hosts.entries()) {
    host.startAgent();
    host.tick();
    host.enrol();
    host.begin().sendList();
    host.tick();
    host.evidence();
    host.tick();
    if (i === 1) host.measure(imaRecord('/usr/bin/new', sha256('new'))).sendList();
    if (i === 2) host.tpm.clock -= 100_000n;
    if (i !== 3) host.evidence();
    host.tick(5);
    if (i === 4) host.reboot().begin().sendList();
    host.evidence();
    said.push(host.records);
  }
  return said;
};

const writeTrace = (path: string, partitions: number): Promise<void> => writeHostsTrace(path, partitions, lives());

const replay = (trace: string): readonly string[] => [
  'replay',
  join(folder, trace),
  '--policy',
  policy,
  '--trust',
  key,
  '--output',
  'ndjson',
];

const statesOf = (stdout: string): string[] =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { subject: { host: string }; kind: string; state: string })
    .map(({ subject, kind, state }) => `${kind} ${subject.host.slice(0, 4)} ${state}`)
    .sort();

describe('hosts are judged the same', () => {
  beforeAll(async () => {
    writeFileSync(policy, policyText());
    writeFileSync(key, createPublicKey(VERIFIER).export({ type: 'spki', format: 'pem' }));
    for (const partitions of [1, 3]) await writeTrace(join(folder, `trace-${partitions}`), partitions);
  });

  test('however many partitions there are, and by the processor as by a replay', async () => {
    const one = await cli(replay('trace-1'));
    const three = await cli(replay('trace-3'));
    expect([one.code, three.code]).toEqual([1, 1]);
    const digests = digestsOf({ ...one, signal: null, peak: 0 });
    expect(digestsOf({ ...three, signal: null, peak: 0 })).toEqual(digests);
    const states = statesOf(one.stdout);
    expect(new Set(states.map((state) => state.split(' ')[2]))).toEqual(
      new Set(['none', 'affirming', 'warning', 'contraindicated']),
    );

    const options = ['process', '--log', join(folder, 'trace-3'), '--policy', policy, '--trust', key, '--once'];
    expect(await cli([...options, '--only', 'startup'])).toMatchObject({ code: 0 });
    const log = await openTrace(join(folder, 'trace-3'), { readOnly: true });
    const judged: string[] = [];
    for await (const { record } of recordsOf(log, 'verdicts', 'Verdict'))
      judged.push(`${record.kind} ${record.host.slice(0, 4)} ${record.state}`);
    await log.close();
    expect(judged.sort()).toEqual(states);
  });

  test('and what the processor consumed it signs a receipt for', async () => {
    const path = join(folder, 'trace-receipts');
    await writeTrace(path, 1);
    const log = await openTrace(path);
    await runStartupProcessor({
      log,
      policies: null,
      keys: pinnedKeys([VERIFIER]),
      key: VERIFIER,
      once: true,
      stop: new AbortController().signal,
    });
    const receipts = [];
    for await (const { record } of recordsOf(log, 'journal', 'Receipt')) receipts.push(record);
    const { end } = (await log.bounds('measurements'))[0]!;
    expect(receipts.every((receipt) => isSigned('Receipt', receipt, pinnedKeys([VERIFIER])))).toBe(true);
    expect(receipts.map(({ first }) => first)[0]).toBe(0);
    expect(receipts.at(-1)!.last).toBe(end - 1);
    expect(receipts.at(-1)!.tick).toBe(7);
    await log.close();
  });

  realPart('build', distProbe)('with threads', () => {
    test.each(['1', '2', '3'])('as many as %s', async (workers) => {
      const here = await cli(replay('trace-3'));
      const there: CommandRan = await succeed([...replay('trace-3'), '--workers', workers], [1]);
      expect(there.stdout === here.stdout).toBe(true);
      expect(digestsOf(there)).toEqual(digestsOf({ ...here, signal: null, peak: 0 }));
    });
  });
});
