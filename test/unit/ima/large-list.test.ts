import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { ImaListReader } from '../../../schemas/ima/list-reader.js';
import { ImaPrefixSearch } from '../../../schemas/ima/prefix-search.js';
import { ImaReplay } from '../../../schemas/ima/replay.js';
import { binaryList, ngRecord } from '../../support/ima-records.js';

const CHUNK = binaryList(
  Array.from({ length: 10_000 }, (_, i) => ngRecord(`/usr/lib/x86_64-linux-gnu/lib${i}.so`, String(i))),
);
const TIMES = 100;

test('a million entries are replayed and searched in constant memory', () => {
  const options = { banks: ['sha256'], modes: { sha256: 'per-bank' } } as const;
  const replay = new ImaReplay(options);
  const search = new ImaPrefixSearch(new ImaReplay(options), [{ bank: 'sha256', pcr: 10, value: Buffer.alloc(32, 1) }]);
  const reader = new ImaListReader();
  const held = (): number => process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
  let before = 0;
  let most = 0;
  for (let i = 0; i < TIMES; i++) {
    reader.push(CHUNK, (span) => {
      replay.extendSpan(span);
      search.extendSpan(span);
    });
    if (i === 10) before = held();
    if (i > 10) most = Math.max(most, held() - before);
  }
  reader.end(() => {});
  expect(replay.count).toBe(1_000_000);
  expect(search.match).toBeNull();
  // What the collector has not looked at yet may lie about; the list itself has 130 MB.
  expect(most).toBeLessThan(48 * 1024 * 1024);
  expect(replay.badTemplateHashes).toBe(0);
  let value = Buffer.alloc(32);
  const sha256 = (...parts: Buffer[]): Buffer<ArrayBuffer> => {
    const hash = createHash('sha256');
    for (const part of parts) hash.update(part);
    return hash.digest() as Buffer<ArrayBuffer>;
  };
  const small = new ImaReplay(options);
  for (let i = 0; i < 10_000; i++) {
    const read = ngRecord(`/usr/lib/x86_64-linux-gnu/lib${i}.so`, String(i));
    small.extend(read);
    value = sha256(value, sha256(read.data));
  }
  expect(small.value('sha256', 'per-bank', 10)).toEqual(value);
});
