import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { memoryLog } from '../../infra/log/memory-log.js';
import { csvReader } from '../../producers/import/csv.js';
import { importFile } from '../../producers/import/import-file.js';
import { parseImportMap } from '../../producers/import/import-map.js';
import { parseJsonRow } from '../../producers/import/json-row.js';
import { ndjsonReader } from '../../producers/import/ndjson.js';
import { NumberText } from '../../producers/import/number-text.js';
import type { FormatReader, RowSink } from '../../producers/import/observation.js';
import { xesReader } from '../../producers/import/xes.js';
import { type AttestreamError, isAttestreamError } from '../../schemas/errors.js';
import { temporaryFolder } from '../support/tmp.js';

const folder = temporaryFolder('import-hostile');

const READERS: Readonly<Record<string, (sink: RowSink) => FormatReader>> = {
  ndjson: ndjsonReader,
  csv: (sink) => csvReader({ delimiter: ',', columns: ['a', 'b'], wanted: [] }, sink),
  xes: xesReader,
};

/** What a reader makes of bytes that come in pieces; an error of ours counts as an answer. */
const answers = (format: string, bytes: Buffer, cuts: readonly number[]): unknown[] => {
  const found: unknown[] = [];
  const reader = READERS[format]!({
    row: (line, raw, row) => found.push([line, raw, { ...row }]),
    reject: (line, _raw, code, message) => found.push([line, code, message]),
  });
  try {
    let start = 0;
    for (const cut of [...cuts.map((share) => Math.floor(share * bytes.length)).sort((a, b) => a - b), bytes.length]) {
      reader.push(bytes.subarray(start, cut));
      start = cut;
    }
    reader.end();
  } catch (error) {
    if (!isAttestreamError(error)) throw error;
    found.push(error.code);
  }
  return found;
};

const PIECES: Readonly<Record<string, readonly string[]>> = {
  ndjson: [
    '{"at":1}',
    '\n',
    '\r\n',
    '{',
    '"',
    '\\',
    ' ',
    '[1]',
    '\u0000',
    'é',
    '{"a":12345678901234567890}',
    '{"\\u0000":"1"}',
  ],
  csv: ['a', ',', '"', '""', '\n', '\r\n', 'é', ' ', '"x",y\n', '\u0000', '"a\nb",c\n'],
  xes: [
    '<log>',
    '</log>',
    '<trace>',
    '</trace>',
    '<event>',
    '</event>',
    '<string key="a" value="b"/>',
    '<',
    '&',
    '&amp;',
    '"',
    'é',
    '<!--',
    '-->',
    '<![CDATA[',
    ']]>',
    '<?xml version="1.0"?>',
  ],
};

const hostile = (format: string): fc.Arbitrary<Buffer> =>
  fc
    .array(
      fc.oneof(
        { weight: 8, arbitrary: fc.constantFrom(...PIECES[format]!).map((text) => Buffer.from(text)) },
        { weight: 1, arbitrary: fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes)) },
      ),
      { maxLength: 60 },
    )
    .map((parts) => Buffer.concat(parts));

test.each(['ndjson', 'csv', 'xes'])(
  '%s: any bytes give rows, refusals or an error with a code, however they are cut',
  (format) => {
    fc.assert(
      fc.property(
        hostile(format),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 }),
        (bytes, cuts) => {
          expect(answers(format, bytes, cuts)).toEqual(answers(format, bytes, []));
        },
      ),
      { numRuns: 400 },
    );
  },
);

test('numbers of any length keep their digits, and text stays text', () => {
  const digits = fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n });
  fc.assert(
    fc.property(digits, fc.string(), (number, text) => {
      const row = parseJsonRow(`{"n":${number},"t":${JSON.stringify(text)},"u":${JSON.stringify(`${number}`)}}`);
      const held = row['n'];
      expect(held instanceof NumberText ? held.digits : String(held)).toBe(String(number));
      expect([row['t'], row['u']]).toEqual([text, `${number}`]);
    }),
  );
});

test('any map is read or refused with its code', () => {
  const key = fc.constantFrom(
    'format',
    'time',
    'end',
    'function',
    'process',
    'host',
    'parameters',
    'constants',
    'unknown',
    'columns',
    'x',
  );
  const document = fc.dictionary(key, fc.oneof(fc.jsonValue(), fc.constantFrom('csv', 'null', 'seen')), { maxKeys: 5 });
  fc.assert(
    fc.property(
      fc.oneof(
        document.map((value) => JSON.stringify(value)),
        fc.string(),
      ),
      (text) => {
        try {
          parseImportMap(Buffer.from(text), 'map');
        } catch (error) {
          expect((error as AttestreamError).code).toBe('IMPORT_MAP');
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('every row of a file is counted once: as a record or as a dead letter', async () => {
  const good = '{"at":1,"process":"p","function":"f"}';
  await fc.assert(
    fc.asyncProperty(fc.array(fc.boolean(), { minLength: 1, maxLength: 50 }), fc.nat(), async (rows, salt) => {
      const file = join(folder, `rows-${salt}`);
      writeFileSync(file, [good, ...rows.map((right) => (right ? good : 'wrong'))].join('\n'));
      const log = memoryLog('rows');
      const { records, rejected } = await importFile({ file, log, partitions: 2 });
      const count = async (topic: string): Promise<number> =>
        (await log.bounds(topic)).reduce((sum, { end }) => sum + end, 0);
      expect([records, rejected]).toEqual([
        1 + rows.filter((right) => right).length,
        rows.filter((right) => !right).length,
      ]);
      expect([await count('memory'), await count('dead-letters')]).toEqual([records, rejected]);
    }),
    { numRuns: 30 },
  );
});
