import { expect, test } from '@jest/globals';
import { memoryLog } from '../../../infra/log/memory-log.js';
import { catRecords } from '../../../infra/log/trace/cat.js';
import { encodeRecord } from '../../../schemas/codec.js';

test('records are shown as kcat shows them, decoded', async () => {
  const log = memoryLog('memory', () => 1_700_000_000_123);
  await log.createTopic('memory', 2);
  const at = { topic: 'memory', partition: 1 };
  const stream = Buffer.alloc(32, 0xab);
  const gap = { stream, seq: 7, at: 1_700_000_000_000_001, notBefore: 5, process: '1:2', reason: 'lost', lost: 3 };
  await log.append(at, [
    { key: Buffer.from('host'), schema: log.schemas.current('Gap'), value: encodeRecord('Gap', gap) },
    { key: Buffer.from([0xff]), schema: -1, value: Buffer.from([1, 2]), headers: [{ key: 'n', value: null }] },
    { key: null, schema: log.schemas.current('Gap'), value: Buffer.from([1]) },
    { key: null, schema: -1, value: null },
  ]);
  const shown = [];
  for await (const record of catRecords(log)) shown.push(JSON.parse(JSON.stringify(record)));
  const common = { topic: 'memory', partition: 1, tstype: 'logappend', ts: 1_700_000_000_123, broker: -1 };
  expect(shown).toEqual([
    { ...common, offset: 0, key: 'host', headers: ['type', 'Gap'], payload: { ...gap, stream: 'ab'.repeat(32) } },
    { ...common, offset: 1, key: 'hex:ff', headers: ['n', null], payload: null, raw: '0102' },
    { ...common, offset: 2, key: null, headers: ['type', 'Gap'], payload: null, raw: '01' },
    { ...common, offset: 3, key: null, headers: [], payload: null },
  ]);
  const some = [];
  for await (const record of catRecords(log, { topics: ['memory'], partitions: [1], from: () => 1, until: () => 2 }))
    some.push(record.offset);
  expect(some).toEqual([1]);
});
