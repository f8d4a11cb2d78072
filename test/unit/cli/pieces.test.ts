import { describe, expect, test } from '@jest/globals';
import { duration, perSecond } from '../../../cli/arguments.js';
import { describeFailure } from '../../../cli/describe-failure.js';
import { exitCodeOf, Findings } from '../../../cli/exit.js';
import { printable } from '../../../cli/printable.js';
import { progressText } from '../../../cli/progress.js';
import { parseRange, resolveRange, WHOLE } from '../../../cli/range.js';
import { TableWriter } from '../../../cli/table.js';
import { memoryLog } from '../../../infra/log/memory-log.js';
import { encodeRecord } from '../../../schemas/codec.js';
import { AttestreamError } from '../../../schemas/errors.js';

describe('ranges in kcat notation', () => {
  const log = memoryLog('ranges');
  const at = { topic: 'memory', partition: 0 };
  const gap = { stream: Buffer.alloc(32), seq: 0, at: 0, notBefore: 0, process: '', reason: '', lost: 0 };
  const filled = log.createTopic('memory', 1).then(() =>
    log.append(
      at,
      [1000, 2000, 3000, 4000].map((timestamp) => ({
        key: null,
        schema: log.schemas.current('Gap'),
        value: encodeRecord('Gap', gap),
        timestamp,
      })),
    ),
  );
  test.each([
    [['beginning'], 0, 4],
    [['end'], 4, 4],
    [['-3'], 1, 4],
    [['-1000'], 0, 4],
    [['2'], 2, 4],
    [['99'], 4, 4],
    [['s@2000'], 1, 4],
    [['s@2001'], 2, 4],
    [['e@3000'], 0, 2],
    [['s@2000', 'e@4000'], 1, 3],
    [['s@2000,e@4000'], 1, 3],
    [['s@4000', 'e@1000'], 0, 0],
  ])('%p', async (given, from, until) => {
    await filled;
    const range = given.reduce((before, text) => parseRange(text, before), WHOLE);
    expect(await resolveRange(log, at, range)).toEqual({ from, until });
  });
  test.each(['json', 'stored', 's@', '-', '1.5', '', 'latest', 's@-1', '99999999999999999'])(
    '%p is refused',
    (text) => {
      expect(() => parseRange(text)).toThrow(AttestreamError);
    },
  );
  test('a format in the place of a range is recognised', () => {
    expect(() => parseRange('json')).toThrow('did you mean "--output json"');
  });
});

test('failures say code, message, place and meaning; foreign text cannot steer the terminal', () => {
  expect(describeFailure(new AttestreamError('LOG_LOCKED', 'held', { path: 'a/0', offset: 7 }))).toMatch(
    /^attestream: LOG_LOCKED: held \(a\/0 at 7\)\n {2}Another process/,
  );
  expect(describeFailure(new AttestreamError('USAGE', 'two\nattestream: lines'))).toBe(
    'attestream: USAGE: two\n  attestream: lines',
  );
  expect(describeFailure(new AttestreamError('CLICKHOUSE_REFUSED', 'Database x does not exist'))).toContain(
    'db migrate',
  );
  expect(describeFailure(new AttestreamError('USAGE', 'no \u001b[31m'))).toBe('attestream: USAGE: no \\u001b[31m');
  const system = Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC', syscall: 'write' });
  expect(describeFailure(system)).toMatch(/^attestream: SYSTEM: ENOSPC/);
  expect([exitCodeOf(system), exitCodeOf(new TypeError('x')), exitCodeOf(new Findings('y'))]).toEqual([3, 3, 1]);
  expect(describeFailure(new TypeError('x'))).toMatch(/^attestream: INTERNAL: x\n/);
  expect(printable('a\u202eb\u0007')).toBe('a\\u202eb\\u0007');
});

test('a table aligns by its first rows and escapes what cells hold', async () => {
  let text = '';
  const table = new TableWriter(async (part) => {
    text += part;
  }, null);
  await table.row({ name: 'a\nb', count: 1 });
  await table.row({ name: 'c', count: 22, more: { x: 1 } });
  await table.end();
  expect(text).toBe('NAME      COUNT  MORE\na\\u000ab  1\nc         22     {"x":1}\n');
});

test('a table keeps to 100 columns: long cells go on below, and very long ones are cut', async () => {
  let text = '';
  const table = new TableWriter(async (part) => {
    text += part;
  }, null);
  await table.row({ id: 'aa', message: 'word '.repeat(30).trim(), digits: '7'.repeat(1000) });
  await table.end();
  const lines = text.trimEnd().split('\n');
  expect(lines).toHaveLength(5);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100);
  expect(text.match(/word/g)).toHaveLength(30);
  expect(lines.at(-1)).toMatch(/7…$/);
});

test('progress tells rate, share and time left', () => {
  expect(progressText('import', 10_000, 25, 100, 2_000_000)).toBe('import: 2.0 M events, 200 k/s, 25 %, 30 s left');
  expect(progressText('import', 1000, 0, 0, 500)).toBe('import: 500 events, 500/s');
  expect(progressText('import', 3_600_000, 1, 3, 1)).toContain('2 h 0 min left');
});

test('durations and rates', () => {
  expect([duration('--for')('250ms'), duration('--for')('1.5s'), duration('--for')('2h')]).toEqual([
    250_000, 1_500_000, 7_200_000_000,
  ]);
  expect([perSecond('--budget')('10/s'), perSecond('--budget')('600/min'), perSecond('--budget')('7')]).toEqual([
    10, 10, 7,
  ]);
  expect(() => duration('--for')('10')).toThrow('--for must be a duration');
  expect(() => perSecond('--budget')('0/s')).toThrow('--budget must be a rate');
});
