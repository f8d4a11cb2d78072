import { expect, test } from '@jest/globals';
import { memoryLog } from '../../../infra/log/memory-log.js';
import { taggedHash } from '../../../schemas/tagged-hash.js';
import { temporaryFolder } from '../../support/tmp.js';
import { importText } from './import-support.js';

const folder = temporaryFolder('native');
const T0 = 1_700_000_000_000_000;
const row = (fields: object): string =>
  `${JSON.stringify({ at: T0, process: 'p1', function: 'actuate', ...fields })}\n`;
const rows = (...lines: string[]) => importText(folder, 'log.ndjson', lines.join(''));

test('one record a row, numbered per host from 0 in order of arrival, late rows where they stand', async () => {
  const { summary, activations } = await rows(
    row({ at: T0 + 2 }),
    row({ process: 'p2' }),
    row({ at: T0 + 1, parameters: { level: 42 } }),
    '\n',
  );
  expect(summary).toEqual({ records: 3, rejected: 0, skipped: 0, hosts: 2, displaced: 0 });
  expect(activations.map(({ process, seq, at }) => [process, seq, at])).toEqual([
    ['p1', 0, T0 + 2],
    ['p2', 0, T0],
    ['p1', 1, T0 + 1],
  ]);
  const [first, , third] = activations;
  expect(first!.stream).toEqual(taggedHash('attestream/import/1', Buffer.alloc(0), 'log.ndjson', 'p1'));
  expect(third).toMatchObject({
    notBefore: T0 + 1,
    end: null,
    thread: 0,
    beginning: true,
    parameters: [{ name: 'level', type: 'int', kind: 'entry', int: 42, real: null, text: null }],
  });
});

test('integers up to those that a number holds exactly are taken, and told in full', async () => {
  const { activations } = await rows(
    row({ parameters: { a: 9007199254740991, b: -9007199254740991, c: 4503599627370497, d: 4503599627370495 } }),
  );
  expect(activations[0]!.parameters.map(({ type, int, text }) => [type, int, text])).toEqual([
    ['int', null, '9007199254740991'],
    ['int', null, '-9007199254740991'],
    ['int', null, '4503599627370497'],
    ['int', 4503599627370495, null],
  ]);
});

test('values keep their kind and all their digits', async () => {
  const line =
    `{"at":${T0},"process":"p","function":"f","parameters":{"a":-7,"b":0.5,"c":9007199254740993,"d":-9223372036854775808,` +
    '"e":18446744073709551615,"f":true,"g":"x","h":null,"i":1e300,"j":"9007199254740993"}}\n';
  const { activations } = await rows(line);
  const value = Object.fromEntries(
    activations[0]!.parameters.map((p) => [p.name, [p.type, p.kind, p.int ?? p.real ?? p.text]]),
  );
  expect(value).toEqual({
    a: ['int', 'entry', -7],
    b: ['double', 'entry', 0.5],
    c: ['int', 'entry', '9007199254740993'],
    d: ['int', 'entry', '-9223372036854775808'],
    e: ['uint', 'entry', '18446744073709551615'],
    f: ['bool', 'entry', 1],
    g: ['string', 'entry', 'x'],
    h: ['unknown', 'unavailable', 'null'],
    i: ['double', 'entry', 1e300],
    j: ['string', 'entry', '9007199254740993'],
  });
});

test('rows that cannot be used become dead letters with their line, and touch no neighbour', async () => {
  const bad: [string | Buffer, string][] = [
    ['{"at":1\n', 'IMPORT_ROW'],
    ['[1]\n', 'IMPORT_ROW'],
    ['7\n', 'IMPORT_ROW'],
    [row({ function: undefined }), 'IMPORT_ROW'],
    [row({ process: '' }), 'IMPORT_ROW'],
    [row({ process: '\ud800' }), 'IMPORT_ROW'],
    [row({ at: 'yesterday' }), 'IMPORT_TIME'],
    [row({ at: T0 + 0.5 }), 'IMPORT_TIME'],
    [row({}).replace(String(T0), `${T0}.000000000001`), 'IMPORT_TIME'],
    [row({ at: -1 }), 'TIME_OUT_OF_RANGE'],
    [row({ at: T0 * 1000 }), 'TIME_OUT_OF_RANGE'],
    [row({ end: T0 - 1 }), 'IMPORT_TIME'],
    [row({ parameters: { nested: { a: 1 } } }), 'IMPORT_VALUE'],
    [row({ parameters: [1] }), 'IMPORT_ROW'],
    [row({ parameters: { big: 0 } }).replace('"big":0', `"big":${'9'.repeat(30)}`), 'IMPORT_VALUE'],
    [Buffer.from([0x7b, 0xff, 0xfe, 0x7d, 0x0a]), 'IMPORT_ENCODING'],
    ['{"at":\u0000}\n', 'IMPORT_ENCODING'],
    [`{"x":"${'a'.repeat(1024 * 1024)}"}\n`, 'IMPORT_ROW'],
    ['{"__proto__":{"at":1,"process":"p","function":"f"}}\n', 'IMPORT_ROW'],
  ];
  const parts = bad.flatMap(([line]) => [Buffer.from(row({})), Buffer.from(line as string)]);
  const { summary, deadLetters, activations } = await importText(folder, 'bad.ndjson', Buffer.concat(parts));
  expect(deadLetters.map(({ offset, code }) => [offset, code])).toEqual(bad.map(([, code], i) => [2 * i + 2, code]));
  expect(summary).toMatchObject({ records: bad.length, rejected: bad.length });
  expect(activations.map(({ seq }) => seq)).toEqual(bad.map((_, i) => i));
  expect(deadLetters.every(({ topic, value }) => topic === 'import' && value!.length <= 4096)).toBe(true);
  expect(deadLetters[0]!.value!.toString()).toBe('{"at":1');
});

test('order of arrival is that of receivedAt, equal ones as in the file, a row without one with the row before', async () => {
  const { activations, log } = await rows(
    row({ function: 'c', receivedAt: T0 + 3000 }),
    row({ function: 'd' }),
    row({ function: 'a', receivedAt: T0 + 1000 }),
    row({ function: 'e', receivedAt: T0 + 3000 }),
    row({ function: 'b', receivedAt: T0 + 1000 }),
  );
  expect(activations.map((activation) => activation.function).join('')).toBe('abcde');
  expect(activations.map(({ seq }) => seq)).toEqual([0, 1, 2, 3, 4]);
  expect(await log.offsetAt({ topic: 'memory', partition: 0 }, (T0 + 2000) / 1000)).toBe(2);
});

test('a file that holds nothing, or something else, is refused by name', async () => {
  const refused = (content: string | Buffer) => importText(folder, 'x.ndjson', content);
  await expect(refused('')).rejects.toMatchObject({ code: 'IMPORT_EMPTY' });
  await expect(refused('\n\n')).rejects.toMatchObject({ code: 'IMPORT_EMPTY' });
  await expect(refused('[{"at":1}]')).rejects.toMatchObject({
    code: 'IMPORT_FORMAT',
    message: expect.stringMatching(/jq/),
  });
  await expect(refused(Buffer.from('\ufeff{"at":1}', 'utf16le'))).rejects.toMatchObject({
    message: expect.stringMatching(/iconv/),
  });
  await expect(refused('Obj\u0001rest')).rejects.toMatchObject({ code: 'IMPORT_FORMAT' });
  await expect(refused('at,process\n1,2\n')).rejects.toMatchObject({
    code: 'IMPORT_FORMAT',
    message: expect.stringMatching(/line 1/),
  });
});

test('the same file is not imported twice into one log, another beside it is', async () => {
  const log = memoryLog('twice');
  await importText(folder, 'a.ndjson', row({}), undefined, { log });
  await expect(importText(folder, 'a.ndjson', row({}), undefined, { log })).rejects.toMatchObject({
    code: 'IMPORT_EXISTS',
  });
  const { activations } = await importText(folder, 'b.ndjson', row({}), undefined, { log });
  expect(activations).toHaveLength(2);
});

test('a UTF-8 mark, CRLF and a last line without end are no trouble', async () => {
  const { summary } = await rows(`\ufeff${row({}).trimEnd()}\r\n${row({}).trimEnd()}`);
  expect(summary).toMatchObject({ records: 2, rejected: 0 });
});

test('an import that is stopped ends with the reason', async () => {
  await expect(
    importText(folder, 's.ndjson', row({}), undefined, { stop: AbortSignal.abort(new Error('asked to')) }),
  ).rejects.toThrow('asked to');
});
