import { expect, test } from '@jest/globals';
import { AvroSource } from '../../../processors/sink/avro-source.js';
import { deadLetterRows } from '../../../processors/sink/dead-letter-rows.js';
import { RowBinary } from '../../../processors/sink/row-binary.js';
import { Coordinates, type RowBuilder } from '../../../processors/sink/row-builder.js';
import { transcribers } from '../../../processors/sink/transcribe.js';
import { verdictRows } from '../../../processors/sink/verdict-rows.js';
import { encodeRecord } from '../../../schemas/codec.js';
import { verdictOf } from '../../support/verdict.js';

const source = (bytes: Buffer): AvroSource => {
  const from = new AvroSource();
  from.set(bytes, 0, bytes.length);
  return from;
};

const rowOf = (builder: RowBuilder, body: Buffer): Buffer => {
  const to = new RowBinary(0);
  builder.append(source(body), { bytes: body, start: 0, end: 0 }, new Coordinates(builder.topic, 3), to);
  return to.bytes.subarray(0, to.length);
};

const field = (name: string, avro: number[]): number[] => {
  const to = new RowBinary(0);
  transcribers('Verdict')
    .find((one) => one.name === name)!
    .value(source(Buffer.from(avro)), to);
  return [...to.bytes.subarray(0, to.length)];
};

test('integers keep their value on either side of 2^32, and beyond 2^53 are refused', () => {
  const i64 = (value: bigint): number[] => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(value);
    return [...bytes];
  };
  const zigzag = (value: bigint): number[] => {
    const bytes: number[] = [];
    let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
    for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
    return [...bytes, Number(rest)];
  };
  for (const exponent of [0n, 1n, 6n, 7n, 13n, 27n, 28n, 31n, 32n, 33n, 35n, 52n])
    for (const value of [2n ** exponent, 2n ** exponent - 1n, -(2n ** exponent), -(2n ** exponent) - 1n])
      expect([value, field('at', zigzag(value))]).toEqual([value, i64(value)]);
  for (const value of [2n ** 53n, -(2n ** 53n) - 1n, 2n ** 63n - 1n])
    expect(() => field('at', zigzag(value))).toThrow(/2\^53/);
  expect(() => field('at', Array(11).fill(0xff))).toThrow(/does not end/);
});

test('strings, absent values and maps', () => {
  expect(field('message', [6, 97, 98, 99])).toEqual([3, 97, 98, 99]);
  expect(field('probability', [0])).toEqual([1]);
  expect(field('probability', [2, 6])).toEqual([0, 3, 0, 0, 0, 0, 0, 0, 0]);
  expect(field('numbers', [2, 2, 97, 4, 0])).toEqual([1, 1, 97, 2, 0, 0, 0, 0, 0, 0, 0]);
});

test('an array in several blocks, with or without their sizes, is the array in one', () => {
  const item = (text: string): number[] => [text.length * 2, ...Buffer.from(text)];
  const whole = field('assumes', [6, ...item('a'), ...item('b'), ...item('c'), 0]);
  expect(whole).toEqual([3, 1, 97, 1, 98, 1, 99]);
  expect(field('assumes', [2, ...item('a'), 3, 8, ...item('b'), ...item('c'), 0])).toEqual(whole);
  // 100 + 100 items: the count in front needs one byte more than that of the first block.
  const many = Array.from({ length: 100 }, () => item('x')).flat();
  const blocks = field('assumes', [0xc8, 1, ...many, 0xc8, 1, ...many, 0]);
  expect(blocks).toEqual([200, 1, ...Array.from({ length: 200 }, () => [1, 120]).flat()]);
});

test('a count or length that the record cannot hold is refused before anything is allocated for it', () => {
  expect(() => field('message', [0xfe, 0xff, 0xff, 0xff, 0x0f, 1])).toThrow(/announced/);
  expect(() => field('message', [1])).toThrow(/announced/);
  expect(() => field('assumes', [0xfe, 0xff, 0xff, 0xff, 0x0f, 1])).toThrow(/announced/);
  expect(() => field('probability', [4, 1])).toThrow(/branch/);
});

test('a record that is cut at any byte, or too long by one, is refused with its code', () => {
  const verdict = encodeRecord('Verdict', verdictOf(5));
  const letter = encodeRecord('DeadLetter', {
    topic: 'memory',
    partition: 1,
    offset: 2,
    end: 3,
    code: 'RECORD_INVALID',
    message: 'm',
    timestamp: 4,
    key: Buffer.from('k'),
    value: null,
    schema: 's',
  });
  for (const [builder, body] of [
    [verdictRows(), verdict],
    [deadLetterRows(), letter],
  ] as const) {
    expect(rowOf(builder, body).length).toBeGreaterThan(0);
    for (let end = 0; end < body.length; end++)
      expect(() => rowOf(builder, body.subarray(0, end))).toThrow(expect.objectContaining({ code: 'RECORD_INVALID' }));
    expect(() => rowOf(builder, Buffer.concat([body, Buffer.alloc(1)]))).toThrow(
      expect.objectContaining({ code: 'RECORD_INVALID' }),
    );
  }
});

test('bytes at random end in a row or in a refusal, never otherwise', () => {
  const body = encodeRecord('Verdict', verdictOf(5));
  let [rows, refusals] = [0, 0];
  let seed = 1;
  for (let i = 0; i < 3000; i++) {
    const changed = Buffer.from(body);
    for (let k = 0; k < 3; k++) {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
      changed[(seed >>> 8) % changed.length] = seed >>> 24;
    }
    try {
      rowOf(verdictRows(), changed);
      rows++;
    } catch (error) {
      expect(['RECORD_INVALID', 'TIME_OUT_OF_RANGE']).toContain((error as { code?: string }).code);
      refusals++;
    }
  }
  expect(rows).toBeGreaterThan(100);
  expect(refusals).toBeGreaterThan(100);
});
