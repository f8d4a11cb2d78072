import { expect, test } from '@jest/globals';
import { temporaryFolder } from '../../support/tmp.js';
import { importText } from './import-support.js';

const folder = temporaryFolder('csv');
const MAP = `
format: csv
time: { column: ts, unit: s }
end: until
function: call
process: { column: pid }
host: { column: device }
parameters:
  level: { column: lvl, type: int }
  ratio: double
  note: { type: string }
constants: { site: 7 }
`;
const HEADER = 'ts,until,call,pid,device,lvl,ratio,note\n';

test('columns become what the map says', async () => {
  const { activations } = await importText(
    folder,
    'a.csv',
    `${HEADER}1700000000.000001,1700000000.5,open,17,dev-a,42,1,"say ""hi"",\ntwice"\n1700000001,,close,17,dev-a,,0.25,\n`,
    MAP,
  );
  expect(activations).toMatchObject([
    { seq: 0, at: 1_700_000_000_000_001, end: 1_700_000_000_500_000, process: '17', function: 'open' },
    { seq: 1, at: 1_700_000_001_000_000, end: null, function: 'close' },
  ]);
  const values = activations.map(({ parameters }) =>
    parameters.map((p) => [p.name, p.type, p.int ?? p.real ?? p.text]),
  );
  expect(values[0]).toEqual([
    ['site', 'int', 7],
    ['level', 'int', 42],
    ['ratio', 'double', 1],
    ['note', 'string', 'say "hi",\ntwice'],
  ]);
  expect(values[1]!.slice(1)).toEqual([
    ['level', 'int', 'empty'],
    ['ratio', 'double', 0.25],
    ['note', 'string', ''],
  ]);
  expect(activations[1]!.parameters[1]!.kind).toBe('unavailable');
});

test('ragged rows, text behind quotes and a quote that is never closed cost their own row only', async () => {
  const good = '1700000000,,f,1,d,1,1,x\n';
  const { summary, deadLetters } = await importText(
    folder,
    'b.csv',
    `${HEADER}${good}1,2\n${good}1700000000,,f,1,d,1,1,"x"y\n${good}1700000000,,f,1,d,1,1,"open\n${good.repeat(70)}`,
    MAP,
  );
  expect(summary).toMatchObject({ records: 73, rejected: 3 });
  expect(deadLetters.map(({ offset, code }) => [offset, code])).toEqual([
    [3, 'IMPORT_ROW'],
    [5, 'IMPORT_ROW'],
    [7, 'IMPORT_ROW'],
  ]);
});

test.each([
  ['reject', { records: 1, rejected: 1, skipped: 0 }],
  ['skip', { records: 1, rejected: 0, skipped: 1 }],
  ['null', { records: 2, rejected: 0, skipped: 0 }],
])('a value that is not of its type: unknown: %s', async (unknown, expected) => {
  const { summary, activations } = await importText(
    folder,
    'c.csv',
    `${HEADER}1700000000,,f,1,d,high,1,x\n1700000000,,f,1,d,3,1,x\n`,
    `${MAP}unknown: ${unknown}\n`,
  );
  expect(summary).toMatchObject(expected);
  if (unknown === 'null') expect(activations[0]!.parameters[1]).toMatchObject({ kind: 'unavailable', type: 'int' });
});

test('a column that the file lacks is named with the nearest one', async () => {
  await expect(
    importText(folder, 'd.csv', 'ts,until,cal,pid,device,lvl,ratio,note\n1,,f,1,d,1,1,x\n', MAP),
  ).rejects.toMatchObject({
    code: 'IMPORT_FORMAT',
    message: expect.stringMatching(/no column "call".*"cal"/),
  });
});

test.each([
  ['tme: x', /"tme" is not known; did you mean "time"/],
  ['format: cvs', /did you mean "csv"/],
  ['time: { column: a, unit: sec }', /time.unit: "sec" is not one of/],
  ['time: { column: a, zone: Nowhere }', /no time zone/],
  ['time: { colum: a }', /did you mean "column"/],
  ['parameters: { a: { type: integer } }', /did you mean|is not one of/],
  ['a: [', /not readable as YAML/],
  ['function: f\nprocess: p', /does not say where the time stands/],
])('a map with a slip is refused: %s', async (map, message) => {
  await expect(importText(folder, 'e.csv', 'a\n1\n', map)).rejects.toMatchObject({
    code: 'IMPORT_MAP',
    message: expect.stringMatching(message),
  });
});

test('another delimiter, no header, names as constants', async () => {
  const { activations } = await importText(
    folder,
    'f.tsv',
    '2023-11-14T22:13:20\t1\n',
    'format: csv\ndelimiter: "\\t"\ncolumns: [t, x]\ntime: { column: t, zone: "+01:00" }\nconstants: { process: dev, function: beat }\nparameters: { x: }\nbeginning: unknown\n',
  );
  expect(activations).toMatchObject([
    {
      process: 'dev',
      function: 'beat',
      at: 1_699_996_400_000_000,
      beginning: false,
      parameters: [{ name: 'x', int: 1 }],
    },
  ]);
});

test('mapped NDJSON reads nested cells by a path, and digits that a double cannot hold', async () => {
  const { activations } = await importText(
    folder,
    'g.ndjson',
    '{"meta":{"ns":1700000000123456789},"who":"p","what":"f","a.b":9007199254740993}\n',
    'time: { column: meta.ns, unit: ns }\nprocess: who\nfunction: what\nparameters: { big: { column: a.b } }\n',
  );
  expect(activations).toMatchObject([
    { at: 1_700_000_000_123_456, parameters: [{ name: 'big', type: 'int', text: '9007199254740993' }] },
  ]);
});
