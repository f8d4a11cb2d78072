import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { digestsOf, succeed } from '../support/cli-run.js';
import { CLI, distProbe } from '../support/dist.js';
import { realPart } from '../support/real-part.js';
import { temporaryFolder } from '../support/tmp.js';
import { WORKLOAD_POLICY, writeWorkload } from '../support/workload.js';

const folder = temporaryFolder('large');
const events = join(folder, 'calls.ndjson');
const trace = join(folder, 'trace');
const policy = join(folder, 'policy.yaml');

const EVENTS = 1_000_000;
/** kB of resident memory. */
const LIMIT = 400_000;

const replay = (...more: string[]) =>
  succeed(['replay', trace, '--policy', policy, '--output', 'ndjson', ...more], [1], { memory: true });

realPart('build', distProbe)('a million events of a thousand processes', () => {
  beforeAll(() => {
    writeWorkload(events, { seed: 5, events: EVENTS, hosts: 100, processesPerHost: 10 });
    writeFileSync(policy, WORKLOAD_POLICY);
  }, 60_000);

  test('are imported, and judged with and without state, in less than 400 MB each, with no word of progress in a pipe', async () => {
    const imported = await succeed(['import', events, '--out', trace, '--output', 'json'], [0], { memory: true });
    expect(JSON.parse(imported.stdout)).toMatchObject({ records: EVENTS, rejected: 0, hosts: 100 });
    const plain = await replay();
    const kept = await replay('--state', join(folder, 'state'));
    expect(plain.stderr).toContain(`${EVENTS} events`);
    expect(digestsOf(kept)).toEqual(digestsOf(plain));
    expect(kept.stdout === plain.stdout).toBe(true);
    expect([imported, plain, kept].filter(({ stderr }) => stderr.includes('\r') || stderr.includes('\u001b'))).toEqual(
      [],
    );
    const peaks = { imported: imported.peak, plain: plain.peak, kept: kept.peak };
    expect(Object.entries(peaks).filter(([, peak]) => peak === 0 || peak > LIMIT)).toEqual([]);
  }, 420_000);
});

const scriptProbe = (): string | null =>
  distProbe() ?? (spawnSync('script', ['--version']).status === 0 ? null : 'there is no script(1) to make a terminal');

realPart('terminal', scriptProbe)('on a terminal', () => {
  test('an import shows how far it is, and clears that line before it ends', () => {
    const small = join(folder, 'small.ndjson');
    writeWorkload(small, { seed: 6, events: 200_000, hosts: 10, processesPerHost: 3 });
    const quote = (text: string): string => `'${text}'`;
    const command = [process.execPath, CLI, 'import', small, '--out', join(folder, 'small')].map(quote).join(' ');
    const ran = spawnSync('script', ['-qec', command, '/dev/null'], {
      encoding: 'utf8',
      env: { ...process.env, TERM: 'xterm', CI: '' },
      timeout: 60_000,
    });
    expect(ran.status).toBe(0);
    expect(ran.stdout).toMatch(/\r\S*import: .*, \d+ %, \d+ s left/);
    expect(ran.stdout).toMatch(/\r\S*records +200000/);
  }, 60_000);
});
