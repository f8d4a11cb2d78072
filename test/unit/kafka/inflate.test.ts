import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { inflateLz4 } from '../../../infra/log/kafka/lz4.js';
import { inflateSnappy } from '../../../infra/log/kafka/snappy.js';

const LIMIT = 1 << 20;

describe('Snappy', () => {
  test('literals and all three kinds of copies, overlapping ones too', () => {
    // "abcd", then 4 bytes from 4 back, 6 from 2 back, 5 from 1 back.
    const block = Buffer.from([
      19,
      3 << 2,
      ...Buffer.from('abcd'),
      0x01,
      4,
      (5 << 2) | 2,
      2,
      0,
      (4 << 2) | 3,
      1,
      0,
      0,
      0,
    ]);
    expect(inflateSnappy(block, LIMIT).toString()).toBe('abcdabcdcdcdcdddddd');
  });

  test("snappy-java's frames one after the other", () => {
    const frame = Buffer.concat([
      Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]),
      Buffer.from([0, 0, 0, 4, 2, 1 << 2, ...Buffer.from('ab')]),
      Buffer.from([0, 0, 0, 3, 1, 0, ...Buffer.from('c')]),
    ]);
    expect(inflateSnappy(frame, LIMIT).toString()).toBe('abc');
    expect(() => inflateSnappy(frame, 2)).toThrow('announces');
  });
});

describe('LZ4', () => {
  const frame = (flags: number, ...blocks: number[][]): Buffer => {
    const size = (length: number): number[] => [length & 255, length >> 8, 0, 0];
    const parts = blocks.flatMap((block) => [...size(block.length), ...block]);
    return Buffer.from([0x04, 0x22, 0x4d, 0x18, flags, 0x40, 0, ...parts, 0, 0, 0, 0]);
  };
  const abc = [...Buffer.from('abc')];

  test('literals and overlapping matches', () => {
    // Three literals, a match of 4 + 15 + 2 bytes three back, and a last literal.
    const block = [0x3f, ...abc, 3, 0, 2, 0x10, ...Buffer.from('!')];
    expect(inflateLz4(frame(0x60, block), LIMIT).toString()).toBe(`${'abc'.repeat(8)}!`);
    expect(() => inflateLz4(frame(0x60, block), 20)).toThrow('more than 20 bytes');
  });

  test('matches reach into earlier blocks only where the frame says that blocks depend on each other', () => {
    const blocks: number[][] = [
      [0x30, ...abc],
      [0x00, 3, 0, 0x10, 0x21],
    ];
    expect(inflateLz4(frame(0x40, ...blocks), LIMIT).toString()).toBe('abcabca!');
    expect(() => inflateLz4(frame(0x60, ...blocks), LIMIT)).toThrow('match leaves');
  });
});

test('arbitrary bytes end in an error or in bounded output', () => {
  const lz4 = Buffer.from([0x04, 0x22, 0x4d, 0x18, 0x40, 0x40, 0, 40, 0, 0, 0]);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 44, maxLength: 44 }), (bytes) => {
      for (const inflate of [
        () => inflateSnappy(Buffer.from(bytes), LIMIT),
        () => inflateLz4(Buffer.concat([lz4, bytes]), LIMIT),
      ]) {
        try {
          expect(inflate().length).toBeLessThanOrEqual(LIMIT);
        } catch (error) {
          expect(error).not.toBeInstanceOf(RangeError);
        }
      }
    }),
    { numRuns: 500 },
  );
});
