import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { Interrupted } from '../../../cli/exit.js';
import { cli } from '../../support/run-cli.js';
import { temporaryFolder } from '../../support/tmp.js';

const folder = temporaryFolder('cli');
const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

describe('usage', () => {
  test('help is data: stdout, exit 0, with examples', async () => {
    const whole = await cli(['--help']);
    expect(whole).toMatchObject({ code: 0, stderr: '' });
    expect(whole.stdout).toMatch(/import[\s\S]*doctor[\s\S]*Exit codes: 0 done/);
    const one = await cli(['import', '--help']);
    expect(one.stdout).toContain('$ attestream import calls.ndjson --out trace/');
  });

  test.each([
    [['imprt', 'x'], /^attestream: USAGE: unknown command 'imprt'.*import/],
    [['import', 'x', '--ot', 'y'], /^attestream: USAGE: unknown option '--ot'.*--out/],
    [['doctor', '-o', 'json'], /did you mean "--output json"/],
    [['verdicts', '--out', 'ndjson'], /did you mean "--output ndjson"/],
    [['import', 'x', '--out', 'json'], /did you mean "--output json"/],
    [['import'], /missing required argument 'file'/],
    [['doctor', '--output', 'jsn'], /did you mean "json"/],
    [['import', 'x', '--out', 'y', '--partitions', '0'], /whole number from 1/],
    [['import', 'x'], /--out TRACE\/ is missing/],
    [['import', 'x', '--log', 'amqp://h'], /LOG_UNSUPPORTED/],
  ])('%p is exit 2 and one line that says what to mend', async (argv, message) => {
    const ran = await cli(argv);
    expect(ran.code).toBe(2);
    expect(ran.stdout).toBe('');
    expect(ran.stderr.replace(/\n/g, ' ')).toMatch(message);
  });

  test('a bare group shows its help on stderr as a usage error', async () => {
    const ran = await cli(['config']);
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(ran.stderr).toContain('print');
  });
});

test('a stop ends with 130 in whatever shape the command meets it', async () => {
  const log = file('stop.ndjson', '{"at":1,"process":"p","function":"f"}\n');
  const ran = await cli(
    ['import', log, '--out', join(folder, 'stopped')],
    {},
    AbortSignal.abort(new Interrupted('SIGINT')),
  );
  expect(ran).toMatchObject({ code: 130, stdout: '', stderr: 'attestream: interrupted by SIGINT\n' });
});

describe('configuration', () => {
  const config = file('a.yaml', 'log: ./from-file\nclickhouse: http://u:geheim@h:8123/db\npartitions: 6\n');

  test('the environment prevails over the file, secrets and passwords in addresses are masked', async () => {
    const ran = await cli(['config', 'print', '--output', 'json', '--config', config], {
      ATTESTREAM_LOG: './from-env',
      ATTESTREAM_KAFKA_PASSWORD_FILE: file('secret', 'tiefes geheimnis\n'),
    });
    expect(JSON.parse(ran.stdout)).toEqual([
      { setting: 'log', value: './from-env', source: 'ATTESTREAM_LOG' },
      { setting: 'partitions', value: 6, source: config },
      { setting: 'kafkaPassword', value: '***', source: 'ATTESTREAM_KAFKA_PASSWORD_FILE' },
      { setting: 'clickhouse', value: 'http://u:***@h:8123/db', source: config },
    ]);
    expect(ran.stdout).not.toContain('geheim');
  });

  test.each([
    ['lgo: x', 'CONFIG_UNKNOWN_KEY', 'did you mean "log"'],
    ['partitions: many', 'CONFIG_INVALID', 'must be a whole number'],
    ['- a', 'CONFIG_INVALID', 'mapping'],
    ['a: [', 'CONFIG_INVALID', 'not readable as YAML'],
  ])('%s is refused', async (text, code, message) => {
    const ran = await cli(['config', 'print', '--config', file('b.yaml', text)]);
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain(code);
    expect(ran.stderr).toContain(message);
  });

  test('a file that is named and not there is refused', async () => {
    expect(await cli(['config', 'print'], { ATTESTREAM_CONFIG: '/nowhere.yaml' })).toMatchObject({ code: 2 });
  });

  test('the schema names every setting and refuses others', async () => {
    const schema = JSON.parse((await cli(['config', 'schema'])).stdout) as {
      additionalProperties: boolean;
      properties: object;
    };
    expect(schema.additionalProperties).toBe(false);
    expect(Object.keys(schema.properties)).toContain('log');
  });
});

test('import writes a trace, says what it did on stdout, and what it could not use on stderr', async () => {
  const log = file('calls.ndjson', '{"at":1700000000000000,"process":"p1","function":"f"}\nbroken\n');
  const trace = join(folder, 'trace');
  const first = await cli(['import', log, '--out', trace, '--output', 'json']);
  expect(first.code).toBe(0);
  expect(JSON.parse(first.stdout)).toMatchObject({ records: 1, rejected: 1, hosts: 1 });
  expect(first.stderr).toContain('1 rows could not be used');
  const again = await cli(['import', log, '--out', trace]);
  expect(again.code).toBe(2);
  expect(again.stderr).toContain('IMPORT_EXISTS');
});

test('doctor lists what it found, with a state each', async () => {
  const ran = await cli(['doctor', folder, '--output', 'ndjson']);
  const rows = ran.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { check: string; state: string });
  expect(rows.find(({ check }) => check === 'node')).toMatchObject({ state: 'ok' });
  expect(rows.find(({ check }) => check === 'flock')).toMatchObject({ state: 'ok' });
  expect(ran.code).toBe(rows.some(({ state }) => state === 'fail') ? 1 : 0);
});
