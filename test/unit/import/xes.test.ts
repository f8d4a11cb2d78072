import { gzipSync } from 'node:zlib';
import { expect, test } from '@jest/globals';
import { temporaryFolder } from '../../support/tmp.js';
import { importText } from './import-support.js';

const folder = temporaryFolder('xes');

const event = (name: string, more = '', time = '2023-11-14T23:13:20.123+01:00'): string =>
  `<event><string key="concept:name" value="${name}"/><date key="time:timestamp" value="${time}"/>${more}</event>`;
const log = (traces: string): string =>
  `<?xml version="1.0" encoding="UTF-8"?><log xes.version="1.0">
  <global scope="event"><string key="concept:name" value="none"/></global>
  <classifier name="c" keys="concept:name"/>${traces}</log>`;
const trace = (name: string, ...events: string[]): string =>
  `<trace><string key="concept:name" value="${name}"/><int key="age" value="7"/>${events.join('\n')}</trace>`;

const XES = log(
  trace(
    'case 1',
    event('register', '<int key="level" value="42"/><float key="cost" value="2.0"/><boolean key="ok" value="true"/>'),
    event('check &amp; pay', '<list key="l"><values><string key="concept:name" value="inner"/></values></list>'),
  ) + trace('case 2', event('register')),
);

test('events become activations of their trace, attributes parameters with their types', async () => {
  const { activations, summary } = await importText(folder, 'a.xes', XES);
  expect(summary).toMatchObject({ records: 3, rejected: 0, hosts: 2 });
  expect(activations).toMatchObject([
    { process: 'case 1', function: 'register', at: 1_700_000_000_123_000, seq: 0 },
    { process: 'case 1', function: 'check & pay', seq: 1, parameters: [] },
    { process: 'case 2', function: 'register', seq: 0 },
  ]);
  expect(activations[0]!.parameters.map((p) => [p.name, p.type, p.int ?? p.real])).toEqual([
    ['level', 'int', 42],
    ['cost', 'double', 2],
    ['ok', 'bool', 1],
  ]);
});

test('packed by gzip it is the same', async () => {
  const { summary } = await importText(folder, 'a.xes.gz', gzipSync(XES));
  expect(summary).toMatchObject({ records: 3, rejected: 0 });
});

test('a map names attributes of the event and, under case:, of the trace', async () => {
  const { activations } = await importText(
    folder,
    'b.xes',
    XES,
    'format: xes\nhost: { constant: plant }\nparameters: { years: { column: "case:age", type: int } }\n',
  );
  expect(activations.map(({ seq }) => seq)).toEqual([0, 1, 2]);
  expect(activations[0]!.parameters).toMatchObject([{ name: 'years', int: 7 }]);
});

test('what is wrong costs its own event; a cut file keeps what came before', async () => {
  const { summary, deadLetters } = await importText(
    folder,
    'c.xes',
    log(trace('case 1', event('a'), event('b', '', 'noon'), event('c & d'), event('e'))).slice(0, -20),
  );
  expect(summary.records).toBeGreaterThanOrEqual(2);
  expect(deadLetters.map(({ code }) => code)).toEqual(expect.arrayContaining(['IMPORT_TIME', 'IMPORT_ROW']));
});

test('bytes that are not of the declared encoding are noticed, a declared one is followed', async () => {
  const latin1 = (declared: string): Buffer =>
    Buffer.from(log(trace('case 1', event('pr\u00fcfen'), event('ok'))).replace('UTF-8', declared), 'latin1');
  const wrong = await importText(folder, 'd.xes', latin1('UTF-8'));
  expect(wrong.deadLetters.map(({ code }) => code)).toEqual(['IMPORT_ENCODING']);
  expect(wrong.summary.records).toBe(1);
  const right = await importText(folder, 'e.xes', latin1('ISO-8859-1'));
  expect(right.activations[0]!.function).toBe('pr\u00fcfen');
});

test('other XML, nesting without end and no XML at all are refused', async () => {
  const refused = (content: string) => importText(folder, 'x.xes', content);
  await expect(refused('<html><body/></html>')).rejects.toMatchObject({
    code: 'IMPORT_FORMAT',
    message: expect.stringMatching(/<html>/),
  });
  await expect(refused(`<log>${'<trace>'.repeat(100_000)}`)).rejects.toMatchObject({ code: 'IMPORT_FORMAT' });
  await expect(refused('plain text\n'.repeat(2000))).rejects.toMatchObject({ code: 'IMPORT_FORMAT' });
});
