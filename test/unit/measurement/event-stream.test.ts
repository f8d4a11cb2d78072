import { expect, test } from '@jest/globals';
import { memoryLog } from '../../../infra/log/memory-log.js';
import { typedRecords } from '../../../infra/log/typed-records.js';
import { EventStream } from '../../../producers/stream/event-stream.js';
import { encodeRecord } from '../../../schemas/codec.js';
import { AttestreamError } from '../../../schemas/errors.js';
import { CHAIN_START, nextChainHead } from '../../../schemas/event-chain.js';

const answer = (n: number) => ({ at: n, requestId: Buffer.alloc(16, n), secret: Buffer.alloc(32) });
const stream = Buffer.alloc(32, 7);

const read = async (log: ReturnType<typeof memoryLog>, partition: number) => {
  const found = [];
  const { end } = (await log.bounds('measurements'))[partition]!;
  for await (const one of typedRecords(log, { topic: 'measurements', partition }, ['EnrolAnswer'], 0, end))
    found.push(one);
  return found;
};

test('numbers records, keeps their order and chains them', async () => {
  const log = memoryLog();
  const events = await EventStream.open({ log, topic: 'measurements', stream, host: 'ab', partitions: 3 });
  expect(events.head).toBeNull();
  for (let n = 0; n < 600; n++) events.put('EnrolAnswer', answer(n % 250));
  await events.flush();
  const found = await read(log, events.partition);
  expect(found.map(({ record }) => record.seq)).toEqual(Array.from({ length: 600 }, (_, n) => n));
  let head: Buffer = CHAIN_START;
  const { fingerprint } = log.schemas.at(log.schemas.current('EnrolAnswer'));
  for (const { record } of found)
    head = nextChainHead(head, record.seq, 'measurements', fingerprint, encodeRecord('EnrolAnswer', record));
  expect(events.head).toEqual({ topic: 'measurements', stream, seq: 599, head });
});

test('tries a log again that does not answer, and gives up on one that refuses', async () => {
  const log = memoryLog();
  const events = await EventStream.open({ log, topic: 'measurements', stream, host: 'ab', partitions: 1 });
  const append = log.append.bind(log);
  let failures = 1;
  log.append = (to, entries) => {
    if (failures-- > 0) throw new AttestreamError('KAFKA_UNREACHABLE', 'nobody there');
    return append(to, entries);
  };
  events.put('EnrolAnswer', answer(1));
  await events.flush();
  expect(await read(log, 0)).toHaveLength(1);
  log.append = () => Promise.reject(new AttestreamError('KAFKA_REFUSED', 'not allowed'));
  events.put('EnrolAnswer', answer(2));
  await expect(events.flush()).rejects.toMatchObject({ code: 'KAFKA_REFUSED' });
});
