import { cpSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import type { Entry, EventLog } from '../../infra/log/event-log.js';
import { openTrace } from '../../infra/log/trace/trace-log.js';
import { encodeRecord } from '../../schemas/codec.js';
import { type CommandRan, digestsOf, runCommand, succeed } from '../support/cli-run.js';
import { distProbe } from '../support/dist.js';
import { realPart } from '../support/real-part.js';
import { temporaryFolder } from '../support/tmp.js';
import { WORKLOAD_POLICY, writeWorkload } from '../support/workload.js';

const folder = temporaryFolder('bad');
const place = (name: string): string => join(folder, name);
const write = (name: string, content: string | Buffer): string => {
  writeFileSync(place(name), content);
  return place(name);
};
const policy = write('policy.yaml', WORKLOAD_POLICY);
const trace = place('trace');
const FILE = 'memory/0/00000000000000000000.avro';
const EVENTS = 3_000;

const copyOf = (name: string): string => {
  cpSync(trace, place(name), { recursive: true });
  return place(name);
};
const replay = (from: string, under = policy, ...more: string[]): Promise<CommandRan> =>
  runCommand(['replay', from, '--policy', under, '--output', 'ndjson', ...more]);

/** Dead letters of a folder, as `trace cat` shows them. */
const deadLetters = async (of: string): Promise<Record<string, unknown>[]> => {
  const { stdout } = await succeed(['trace', 'cat', of, '--topic', 'dead-letters', '--output', 'ndjson']);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { payload: Record<string, unknown> }).payload);
};

/** A call of a host of its own that nothing is wrong with, but for what is changed. */
const call = (log: EventLog, seq: number, changed: { at?: number; notBefore?: number } = {}): Entry => ({
  key: Buffer.from('stranger'),
  schema: log.schemas.current('Activation'),
  value: encodeRecord('Activation', {
    stream: Buffer.alloc(32, 9),
    seq,
    at: 1_700_000_000_000_000 + seq,
    notBefore: changed.at ?? 1_700_000_000_000_000 + seq,
    end: null,
    process: '1:1',
    thread: 0,
    function: 'login',
    beginning: true,
    parameters: [],
    ...changed,
  }),
});

const append = async (to: string, entries: (log: EventLog) => readonly Entry[]): Promise<void> => {
  const log = await openTrace(to);
  await log.append({ topic: 'memory', partition: 0 }, entries(log));
  await log.close();
};

realPart('build', distProbe)('bad input', () => {
  let whole: CommandRan;
  beforeAll(async () => {
    writeWorkload(place('calls.ndjson'), { seed: 3, events: EVENTS, hosts: 3, processesPerHost: 2 });
    await succeed(['import', place('calls.ndjson'), '--out', trace, '--partitions', '1']);
    await append(trace, (log) => [call(log, 0)]);
    whole = await replay(trace);
    expect(whole.code).toBe(1);
    expect(whole.stderr).toContain(`${EVENTS + 1} events`);
    expect(whole.stderr).not.toContain('TRACE_TORN');
  });

  test('a truncated trace is judged up to its last whole block, and says what is missing', async () => {
    const torn = copyOf('torn');
    truncateSync(join(torn, FILE), readFileSync(join(torn, FILE)).length - 30);
    const ran = await replay(torn);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(/^attestream: TRACE_TORN: \S+ memory\/0 ends with \d+ bytes of an incomplete block/);
    expect(ran.stderr).toContain(`${EVENTS} events`);
    const lines = ran.stdout.split('\n').slice(0, -1);
    expect(whole.stdout.split('\n').slice(0, lines.length)).toEqual(lines);
    expect(lines.length).toBeGreaterThan(50);
  });

  test('flipped bits cost what they hit and nothing else, with its offsets', async () => {
    const flipped = copyOf('flipped');
    writeWorkload(place('more.ndjson'), { seed: 4, events: EVENTS, hosts: 3, processesPerHost: 2 });
    await succeed(['import', place('more.ndjson'), '--out', flipped]);
    const bytes = readFileSync(join(flipped, FILE));
    // A run of ones where the first block says how long it is: no block lasts that long. A file ends with its marker.
    const block = bytes.indexOf(bytes.subarray(-16)) + 16;
    bytes.fill(0xff, block, block + 12);
    writeFileSync(join(flipped, FILE), bytes);
    const state = place('flipped-state');
    const ran = await replay(flipped, policy, '--state', state);
    expect(ran.code).toBe(1);
    const letters = await deadLetters(state);
    expect(letters).toHaveLength(1);
    let lost = 0;
    for (const { topic, partition, offset, end, code } of letters) {
      expect({ topic, partition }).toEqual({ topic: 'memory', partition: 0 });
      expect(['RECORD_INVALID', 'TRACE_CORRUPT']).toContain(code);
      expect(ran.stderr).toContain(code);
      lost += Number(end) - Number(offset);
    }
    expect(ran.stderr).toContain(`${2 * EVENTS + 1 - lost} events`);
  });

  test.each([
    ['a file of another kind', Buffer.from('PK\u0003\u0004 not Avro'), 2, 'TRACE_FOREIGN'],
    ['an empty file', Buffer.alloc(0), 0, 'TRACE_TORN'],
    ['half a header', null, 0, 'TRACE_TORN'],
  ])('%s in place of a data file', async (name, content, code, word) => {
    const changed = copyOf(name.replaceAll(' ', '-'));
    writeFileSync(join(changed, FILE), content ?? readFileSync(join(changed, FILE)).subarray(0, 100));
    const ran = await replay(changed);
    expect(ran).toMatchObject({ code, stdout: '' });
    expect(ran.stderr).toMatch(new RegExp(`^attestream: ${word}: `));
  });

  test('records that cannot be used become dead letters with their coordinates; all others are judged as ever', async () => {
    const mixed = copyOf('mixed');
    const end = EVENTS + 1;
    await append(mixed, (log) => [
      { key: Buffer.from('stranger'), schema: -1, value: Buffer.from('who knows') },
      { key: Buffer.from('stranger'), schema: log.schemas.current('Activation'), value: Buffer.alloc(7, 0xff) },
      { ...call(log, 1), key: null },
      call(log, 1, { at: 8_000_000_000_000_000 }),
      call(log, 1, { at: -1 }),
      call(log, 1, { notBefore: 1_800_000_000_000_000 }),
      { ...call(log, 1), schema: log.schemas.current('Verdict') },
      call(log, 1),
    ]);
    const state = place('mixed-state');
    const ran = await replay(mixed, policy, '--state', state);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain(`${EVENTS + 2} events`);
    expect(ran.stdout.startsWith(whole.stdout)).toBe(true);
    expect(
      (await deadLetters(state)).map(({ code, topic, partition, offset }) => [code, topic, partition, offset]),
    ).toEqual([
      ['SCHEMA_UNKNOWN', 'memory', 0, end],
      ['RECORD_INVALID', 'memory', 0, end + 1],
      ['HOST_KEY_MISSING', 'memory', 0, end + 2],
      ['TIME_OUT_OF_RANGE', 'memory', 0, end + 3],
      ['TIME_OUT_OF_RANGE', 'memory', 0, end + 4],
      ['TIME_OUT_OF_RANGE', 'memory', 0, end + 5],
      ['RECORD_UNEXPECTED', 'memory', 0, end + 6],
    ]);
    for (const code of ['SCHEMA_UNKNOWN', 'RECORD_INVALID', 'HOST_KEY_MISSING', 'TIME_OUT_OF_RANGE'])
      expect(ran.stderr).toContain(`attestream: ${code}: memory/0@`);
    expect(digestsOf(ran).digest).toMatch(/^sha256:/);
  });

  test.each([
    ['a folder without a trace', () => [place('.'), policy], 'TRACE_NOT_FOUND', 2],
    ['no folder', () => [place('nowhere'), policy], 'TRACE_NOT_FOUND', 2],
    ['no policy file', () => [trace, place('nowhere.yaml')], 'USAGE', 2],
    ['a folder as policy', () => [trace, folder], 'USAGE', 2],
    ['no YAML', () => [trace, write('no.yaml', '{{{')], 'POLICY_INVALID', 2],
    [
      'a guard that is no CEL',
      () => [trace, write('cel.yaml', WORKLOAD_POLICY.replaceAll('<= 40 &&', '<= &&'))],
      'POLICY_INVALID',
      2,
    ],
    [
      'always without end',
      () => [
        trace,
        write(
          'always.yaml',
          'id: c\nfunctions: { f: {} }\nmachine: { initial: a, states: { a: { always: b }, b: { always: a } } }\n',
        ),
      ],
      'POLICY_INVALID',
      2,
    ],
  ] as const)('a replay of %s is refused with a code', async (_, where, word, code) => {
    const [from, under] = where() as [string, string];
    const ran = await replay(from, under);
    expect(ran).toMatchObject({ code, stdout: '' });
    expect(ran.stderr).toMatch(new RegExp(`^attestream: ${word}: `));
    expect(ran.stderr).not.toContain('    at ');
  });

  test.each([
    ['no byte', write('zero.ndjson', ''), 'IMPORT_EMPTY'],
    ['no file', place('nowhere.ndjson'), 'USAGE'],
    [
      'UTF-16',
      write('utf16.ndjson', Buffer.from('\ufeff{"at":1,"process":"p","function":"f"}\n', 'utf16le')),
      'IMPORT_FORMAT',
    ],
    ['no row that can be used', write('prose.ndjson', 'once\nupon\na time\n'), 'IMPORT_FORMAT'],
  ])('an import of %s is refused with a code', async (name, file, word) => {
    const ran = await runCommand(['import', file, '--out', place(`import ${name}`)]);
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(ran.stderr).toMatch(new RegExp(`^attestream: ${word}: `));
    expect(ran.stderr).not.toContain('    at ');
  });

  test('rows that cannot be used become dead letters with their lines; all others are imported', async () => {
    const map = write(
      'map.yaml',
      'format: csv\ntime: { column: time, unit: s }\nprocess: { column: process }\nfunction: { column: function }\n',
    );
    const csv = write('ragged.csv', 'time,process,function\n1,p,f\n2,p\n3,p,f,more\n99999999999,p,f\n-4,p,f\n5,p,f\n');
    mkdirSync(place('ragged'));
    const ran = await runCommand(['import', csv, '--map', map, '--out', place('ragged'), '--output', 'json']);
    expect(ran.code).toBe(0);
    expect(JSON.parse(ran.stdout)).toMatchObject({ records: 2, rejected: 4 });
    expect(ran.stderr).toContain('4 rows could not be used');
    expect((await deadLetters(place('ragged'))).map(({ code, topic, offset }) => [code, topic, offset])).toEqual([
      ['IMPORT_ROW', 'import', 3],
      ['IMPORT_ROW', 'import', 4],
      ['TIME_OUT_OF_RANGE', 'import', 5],
      ['TIME_OUT_OF_RANGE', 'import', 6],
    ]);
  });
});
