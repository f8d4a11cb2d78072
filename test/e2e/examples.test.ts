import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { cli } from '../support/run-cli.js';
import { filesBelow, ROOT } from '../support/sources.js';
import { temporaryFolder } from '../support/tmp.js';

const folder = temporaryFolder('examples');
const example = (path: string): string => join(ROOT, 'examples', path);

interface Verdict {
  readonly state: string;
  readonly subject: { readonly host: string; readonly process: string };
  readonly trigger: { readonly seq: number };
  readonly message: string;
}

const replay = async (trace: string, policy: string): Promise<readonly Verdict[]> => {
  const ran = await cli(['replay', trace, '--policy', policy, '--output', 'ndjson']);
  expect(ran.code).toBe(1);
  return ran.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Verdict);
};

test('the recording of the device: the healthy run conforms to its end, both attacks are violations', async () => {
  const verdicts = await replay(example('traces/device'), example('device/policy.yaml'));
  const last = new Map(verdicts.map(({ subject, state, message }) => [subject.process, { state, message }]));
  expect([...last.values()]).toEqual([
    { state: 'conforming', message: expect.any(String) },
    { state: 'violated', message: expect.stringContaining('actuate(level=70') },
    { state: 'violated', message: expect.stringContaining('actuate(level=95') },
  ]);
});

test('the recording holds what was seen and nothing else', () => {
  const files = filesBelow('examples/traces', () => true);
  expect(files.filter((file) => !/\/topic\.json$|\/\d{20}\.avro$/.test(file))).toEqual([]);
});

describe('imported logs', () => {
  test.each([
    { file: 'thermostat.ndjson', map: null, violated: ['hall', 'hall', 3] },
    { file: 'doors.csv', map: 'doors.map.yaml', violated: ['building-7', 'north', 5] },
    { file: 'orders.xes', map: null, violated: ['order-2', 'order-2', 1] },
  ])('$file has one violation, named by its place', async ({ file, map, violated }) => {
    const name = file.split('.')[0]!;
    const trace = join(folder, name);
    const maps = map === null ? [] : ['--map', example(`imports/${map}`)];
    const imported = await cli(['import', example(`imports/${file}`), ...maps, '--out', trace, '--output', 'json']);
    expect(imported).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(imported.stdout)).toMatchObject({ rejected: 0, skipped: 0 });
    const verdicts = await replay(trace, example(`imports/${name}.policy.yaml`));
    const bad = verdicts.filter(({ state }) => state === 'violated');
    expect(bad.map(({ subject, trigger }) => [subject.host, subject.process, trigger.seq])).toEqual([violated]);
    const others = verdicts.filter(({ state }) => state !== 'violated');
    expect(others.map(({ state }) => state)).toEqual(['conforming', 'conforming']);
  });
});

test('the policies of the imported logs pass the check', async () => {
  const policies = readdirSync(example('imports'))
    .filter((name) => name.endsWith('.policy.yaml'))
    .map((name) => example(`imports/${name}`));
  expect(policies).toHaveLength(3);
  expect(await cli(['policy', 'check', ...policies, '--output', 'json'])).toMatchObject({ code: 0, stderr: '' });
});
