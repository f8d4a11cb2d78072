import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { cli } from '../../support/run-cli.js';
import { temporaryFolder } from '../../support/tmp.js';

const folder = temporaryFolder('cli-logs');
const trace = join(folder, 'trace');
const T0 = 1_700_000_000_000_000;

interface Printed {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly ts: number;
  readonly key: string;
  readonly headers: readonly string[];
  readonly payload: { readonly seq: number; readonly process: string };
}

const cat = async (...argv: string[]): Promise<Printed[]> => {
  const ran = await cli(['trace', 'cat', ...argv, '--output', 'ndjson']);
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  return ran.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Printed);
};

beforeAll(async () => {
  const lines = Array.from({ length: 20 }, (_, i) =>
    JSON.stringify({ at: T0 + i * 1000, process: `p${i % 5}`, function: 'f', parameters: { level: i } }),
  );
  const file = join(folder, 'calls.ndjson');
  writeFileSync(file, lines.join('\n'));
  expect(await cli(['import', file, '--out', trace, '--partitions', '3'])).toMatchObject({ code: 0, stderr: '' });
});

describe('trace cat', () => {
  test('prints every record once, decoded, keyed by host, each host in order', async () => {
    const records = await cat(trace);
    expect(records).toHaveLength(20);
    expect(records[0]).toMatchObject({ topic: 'memory', headers: ['type', 'Activation'], payload: { function: 'f' } });
    for (const host of ['p0', 'p1', 'p2', 'p3', 'p4'])
      expect(records.filter(({ key }) => key === host).map(({ payload }) => payload.seq)).toEqual([0, 1, 2, 3]);
  });

  test('ranges are offsets or times of each partition', async () => {
    const all = await cat(trace, '--topic', 'memory');
    const partitions = new Set(all.map(({ partition }) => partition));
    expect(await cat(trace, '--topic', 'memory', '-o', '-1')).toHaveLength(partitions.size);
    const cut = T0 / 1000 + 10;
    expect(await cat(trace, '-o', `s@${cut}`)).toHaveLength(all.filter(({ ts }) => ts >= cut).length);
    expect(await cat(trace, '-o', `e@${cut}`)).toHaveLength(all.filter(({ ts }) => ts < cut).length);
    expect(await cat(trace, '-o', 'end')).toEqual([]);
  });

  test.each([
    [['--topic', 'memry'], 'did you mean \\"memory\\"', 3],
    [['-o', 'json'], 'did you mean \\"--output json\\"', 2],
  ])('%p is refused', async (argv, message, code) => {
    const ran = await cli(['trace', 'cat', trace, ...argv]);
    expect(ran.code).toBe(code);
    expect(JSON.stringify(ran.stderr)).toContain(message);
  });

  test('a folder that is no trace is refused', async () => {
    const empty = join(folder, 'empty');
    mkdirSync(empty);
    expect(await cli(['trace', 'cat', empty])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/TRACE_NOT_FOUND/),
    });
  });
});

test('copy keeps identities and the order of each host over another number of partitions', async () => {
  const target = join(folder, 'copied');
  const ran = await cli(['copy', trace, target, '--partitions', '5', '--output', 'json']);
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(ran.stdout)).toEqual({ records: 20, lost: 0 });
  const identity = ({ key, payload }: Printed): string => `${key} ${JSON.stringify(payload)}`;
  expect((await cat(target)).map(identity).sort()).toEqual((await cat(trace)).map(identity).sort());
  expect((await cat(target)).filter(({ key }) => key === 'p1').map(({ payload }) => payload.seq)).toEqual([0, 1, 2, 3]);
});

test('topics are created once, and what is wrong with them is a finding', async () => {
  const log = join(folder, 'topics');
  const created = await cli(['topics', 'create', '--log', log, '--partitions', '2', '--output', 'json']);
  expect(created.code).toBe(0);
  expect(JSON.parse(created.stdout)).toContainEqual({
    topic: 'memory',
    partitions: 2,
    cleanup: 'delete',
    created: true,
  });
  expect(await cli(['topics', 'check', '--log', log, '--output', 'json'])).toMatchObject({ code: 0, stdout: '[]\n' });
  expect((await cli(['topics', 'check', '--log', log, '--partitions', '6'])).code).toBe(1);
  expect(await cli(['topics', 'create', '--log', log, '--partitions', '6'])).toMatchObject({
    code: 3,
    stderr: expect.stringMatching(/TOPIC_REPARTITIONED/),
  });
});

describe('policy check', () => {
  const policy = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  const GOOD = `
id: device
functions: { open: {}, close: {} }
machine:
  initial: shut
  states:
    shut: { on: { open: opened } }
    opened: { on: { close: shut } }
`;

  test('a policy without findings is exit 0, one with findings exit 1, an invalid one exit 2', async () => {
    const good = policy('good.yaml', GOOD);
    const clean = await cli(['policy', 'check', good, '--output', 'json']);
    expect(clean.code).toBe(0);
    expect(JSON.parse(clean.stdout)).toEqual([
      { file: good, id: 'device', digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/), findings: [] },
    ]);
    const odd = policy('odd.yaml', `${GOOD}    lonely: { on: { open: shut } }\n`);
    const found = await cli(['policy', 'check', good, odd]);
    expect(found.code).toBe(1);
    expect(found.stdout).toContain('unreachable-state');
    const bad = policy('bad.yaml', GOOD.replace('initial: shut', 'initial: shutt'));
    expect(await cli(['policy', 'check', bad])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/POLICY_INVALID/),
    });
    expect(await cli(['policy', 'check', join(folder, 'nowhere.yaml')])).toMatchObject({ code: 2 });
  });
});

describe('look and record', () => {
  test.each([
    [['look'], 'name either a process id or --container'],
    [['look', '12', '--container', 'x'], 'name either a process id or --container'],
    [['look', 'self'], 'is no process id'],
    [['look', '--container', 'x', '--docker-host', 'ssh://host'], 'neither unix:///PATH nor tcp://HOST:PORT'],
    [['record', '--pid', '1', '--out', 'x'], 'give either --policy FILE or --survey'],
    [['record', '--survey', '--out', 'x'], 'name one of --pid'],
  ])('%p is a usage error', async (argv, message) => {
    const ran = await cli(argv, { DOCKER_HOST: 'unix:///nowhere/docker.sock' });
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain(message);
  });

  test('an engine that is not there is no usage error', async () => {
    const ran = await cli(['look', '--container', 'x'], { DOCKER_HOST: 'unix:///nowhere/docker.sock' });
    expect(ran).toMatchObject({ code: 3, stderr: expect.stringMatching(/ENGINE_UNREACHABLE.*\/nowhere\/docker.sock/) });
  });

  test('a process that is not there is no usage error', async () => {
    expect(await cli(['look', '999999999'])).toMatchObject({ code: 3, stderr: expect.stringMatching(/PROCESS_GONE/) });
  });
});
