import { expect, test } from '@jest/globals';
import { RecordTail } from '../../../processors/startup/lists/record-tail.js';
import type { ImaRecord } from '../../../schemas/ima/entry.js';
import { emptySpan, recordOf } from '../../../schemas/ima/record-span.js';

/** Numbers in [0, 1) that are the same at every run. */
const numbers = (seed: number): (() => number) => {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
};

const record = (n: number, length = 40, template = 'ima-ng'): ImaRecord => ({
  pcr: 10 + (n % 3),
  template,
  templateDigest: Buffer.alloc(20, n),
  data: Buffer.alloc(length, n + 1),
});

const read = (tail: RecordTail, index: number): ImaRecord | null => {
  const span = emptySpan();
  return tail.span(index, span) ? recordOf(span) : null;
};

test('gives back what was put in, whatever was replaced and deleted between', () => {
  const random = numbers(7);
  const tail = new RecordTail();
  const expected = new Map<number, ImaRecord>();
  for (let i = 0; i < 5000; i++) {
    const index = Math.floor(random() * 60) * (random() < 0.1 ? 1e12 : 1);
    if (random() < 0.3) {
      tail.delete(index);
      expected.delete(index);
    } else {
      const put = record(i & 0xff, Math.floor(random() * 3000), random() < 0.5 ? 'ima-ng' : `d-ng|n-ng|f${i % 7}`);
      tail.set(index, put);
      expected.delete(index);
      expected.set(index, put);
    }
    if (random() < 0.002) {
      tail.clear();
      expected.clear();
    }
  }
  expect(tail.size).toBe(expected.size);
  for (const [index, put] of expected) expect(read(tail, index)).toEqual(put);
  expect(tail.entries()).toEqual([...expected]);
  expect(tail.pcrs()).toEqual(new Set([...expected.values()].map(({ pcr }) => pcr)));
});

test('what is said again and again takes no more room than the newest of it', () => {
  const tail = new RecordTail();
  tail.set(1, record(1));
  for (let i = 0; i < 2000; i++) tail.set(0, record(i & 0xff, 4000, `d-ng|n${i}`));
  const span = emptySpan();
  tail.span(0, span);
  expect(span.bytes.length).toBeLessThan(256 * 1024);
  expect(read(tail, 0)).toEqual(record(1999 & 0xff, 4000, 'd-ng|n1999'));
  expect(read(tail, 1)).toEqual(record(1));
});

test('two tails share nothing', () => {
  const [one, other] = [new RecordTail(), new RecordTail()];
  for (let i = 0; i < 500; i++) one.set(i, record(i & 0xff));
  one.clear();
  for (let i = 0; i < 500; i++) {
    one.set(i, record(i & 0xff));
    other.set(i, record((i + 7) & 0xff));
  }
  for (let i = 0; i < 500; i++) {
    expect(read(one, i)).toEqual(record(i & 0xff));
    expect(read(other, i)).toEqual(record((i + 7) & 0xff));
  }
});
