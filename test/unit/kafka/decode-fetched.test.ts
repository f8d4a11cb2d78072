import { gzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Batch } from '../../../infra/log/event-log.js';
import { crc32c } from '../../../infra/log/kafka/crc32c.js';
import { type AbortedTransaction, decodeFetched, nextOffset } from '../../../infra/log/kafka/decode-fetched.js';
import { encodeBatch, type ProducerState, type WireRecord } from '../../../infra/log/kafka/record-batch.js';

const plain: ProducerState = { id: -1n, epoch: -1, transactional: false };
const record = (value: string | null, extra: Partial<WireRecord> = {}): WireRecord => ({
  key: Buffer.from('k'),
  frame: null,
  value: value === null ? null : Buffer.from(value),
  headers: [],
  timestamp: 1000,
  ...extra,
});

/** Changes a batch as a broker or an attacker would, with a checksum that fits again. */
const sealed = (batch: Buffer, change: (batch: Buffer) => void): Buffer => {
  change(batch);
  batch.writeUInt32BE(crc32c(batch, 21, batch.length), 17);
  return batch;
};
const placed = (batch: Buffer, offset: number): Buffer => {
  batch.writeBigInt64BE(BigInt(offset), 0);
  return batch;
};
/** The marker that ends a transaction, as brokers write it. */
const control = (producer: bigint, offset: number, commit: boolean): Buffer => {
  const key = Buffer.from([0, 0, 0, commit ? 1 : 0]);
  const batch = encodeBatch([record('x', { key })], { id: producer, epoch: 0, transactional: true }, -1);
  return placed(
    sealed(batch, (bytes) => bytes.writeInt16BE(0x30, 21)),
    offset,
  );
};
const compressed = (batch: Buffer, codec: number, compress: (records: Buffer) => Buffer): Buffer => {
  const out = Buffer.concat([batch.subarray(0, 61), compress(batch.subarray(61))]);
  out.writeInt32BE(out.length - 12, 8);
  return sealed(out, (bytes) => bytes.writeInt16BE(codec, 21));
};

const read = (records: Buffer, from = 0, until = Infinity, aborted: AbortedTransaction[] = []): Batch[] =>
  [...decodeFetched({ records, aborted }, from, until)].map((run) =>
    run.batch('memory', 0, (id) => (id === 7 ? 3 : -1)),
  );

const seen = (batches: readonly Batch[]): { offset: number; value: string | null }[] =>
  batches.flatMap((batch) =>
    Array.from({ length: batch.length }, (_, i) => ({
      offset: batch.offsets[i]!,
      value:
        batch.values[2 * i]! < 0 ? null : batch.bytes.toString('utf8', batch.values[2 * i], batch.values[2 * i + 1]),
    })),
  );

describe('record batches', () => {
  test('come back as they were written, whatever keys, values, headers and times they have', () => {
    const bytes = fc.uint8Array({ maxLength: 300 }).map((value) => Buffer.from(value));
    const header = fc.record({ key: fc.string().filter((key) => key !== 'raw'), value: fc.option(bytes) });
    const any = fc.record({
      key: fc.option(bytes),
      value: fc.option(bytes),
      frame: fc.constant(null),
      headers: fc.array(header, { maxLength: 3 }),
      timestamp: fc.integer({ min: 0, max: 2 ** 45 }),
    });
    fc.assert(
      fc.property(fc.array(any, { minLength: 1, maxLength: 20 }), fc.nat(2 ** 40), (records, base) => {
        const batch = read(placed(encodeBatch(records, plain, 0), base))[0]!;
        expect(batch.length).toBe(records.length);
        expect(batch.next).toBe(base + records.length);
        const part = (pairs: Int32Array, i: number): Buffer | null =>
          pairs[2 * i]! < 0 ? null : batch.bytes.subarray(pairs[2 * i], pairs[2 * i + 1]);
        for (const [i, { key, value, headers, timestamp }] of records.entries()) {
          expect(batch.offsets[i]).toBe(base + i);
          expect(batch.timestamps[i]).toBe(timestamp);
          expect(part(batch.keys, i)).toEqual(key);
          expect(part(batch.values, i)).toEqual(value);
          expect(batch.headers(i)).toEqual(headers);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('never make the decoder do anything but tell of damage, whatever bytes stand in them', () => {
    const original = encodeBatch([record('one'), record('two', { headers: [{ key: 'a', value: null }] })], plain, 0);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(original.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        (edits) => {
          const batch = sealed(Buffer.from(original), (bytes) => {
            for (const [at, byte] of edits) if (at >= 23) bytes[at] = byte;
          });
          for (const run of read(batch))
            for (let i = 0; i < run.length; i++) {
              expect(run.values[2 * i + 1]!).toBeLessThanOrEqual(run.bytes.length);
              run.headers(i);
            }
        },
      ),
      { numRuns: 300 },
    );
  });

  test('are cut to [from, until), and a batch cut off at the end is left for the next fetch', () => {
    const first = encodeBatch([record('a'), record('b'), record('c')], plain, 0);
    const second = placed(encodeBatch([record('d'), record('e')], plain, 3), 3);
    const fetched = Buffer.concat([first, second, second.subarray(0, 40)]);
    expect(seen(read(fetched, 1, 4))).toEqual([
      { offset: 1, value: 'b' },
      { offset: 2, value: 'c' },
      { offset: 3, value: 'd' },
    ]);
    expect(nextOffset(fetched, 1)).toBe(5);
    expect(nextOffset(second.subarray(0, 40), 1)).toBe(1);
  });

  test('of aborted transactions are left out, of committed ones not, also by the same producer', () => {
    const of = (producer: bigint, value: string, offset: number): Buffer =>
      placed(encodeBatch([record(value)], { id: producer, epoch: 0, transactional: true }, 0), offset);
    const fetched = Buffer.concat([
      of(1n, 'kept', 0),
      of(2n, 'aborted', 1),
      control(1n, 2, true),
      control(2n, 3, false),
      of(2n, 'later', 4),
      control(2n, 5, true),
      of(1n, 'aborted too', 6),
      control(1n, 7, false),
    ]);
    const aborted = [
      { producerId: 2n, firstOffset: 1 },
      { producerId: 1n, firstOffset: 6 },
    ];
    const batches = read(fetched, 0, Infinity, aborted);
    expect(seen(batches)).toEqual([
      { offset: 0, value: 'kept' },
      { offset: 4, value: 'later' },
    ]);
    expect(batches.at(-1)!.next).toBe(8);
  });

  test('with a wrong checksum are told as damage, and their neighbours are read', () => {
    const bad = placed(encodeBatch([record('b'), record('c')], plain, 0), 1);
    bad[bad.length - 1]! ^= 1;
    const fetched = Buffer.concat([
      encodeBatch([record('a')], plain, 0),
      bad,
      placed(encodeBatch([record('d')], plain, 0), 3),
    ]);
    const batches = read(fetched);
    expect(seen(batches)).toEqual([
      { offset: 0, value: 'a' },
      { offset: 3, value: 'd' },
    ]);
    expect(batches.flatMap(({ damage }) => damage)).toEqual([
      { from: 1, to: 3, code: 'RECORD_INVALID', message: expect.stringContaining('checksum') },
    ]);
  });

  test('whose layout breaks off give none of their records: what is told as lost must not be there as well', () => {
    const broken = sealed(encodeBatch([record('b'), record('c')], plain, 0), (bytes) => bytes.writeInt32BE(3, 57));
    const fetched = Buffer.concat([
      encodeBatch([record('a')], plain, 0),
      placed(broken, 1),
      placed(encodeBatch([record('d')], plain, 0), 3),
    ]);
    const batches = read(fetched);
    expect(seen(batches)).toEqual([
      { offset: 0, value: 'a' },
      { offset: 3, value: 'd' },
    ]);
    expect(batches.flatMap(({ damage }) => damage)).toMatchObject([{ from: 1, to: 3, code: 'RECORD_INVALID' }]);
  });

  test("carry the log's own time where the log stamps them", () => {
    const batch = sealed(encodeBatch([record('a')], plain, 0), (bytes) => {
      bytes.writeInt16BE(0x08, 21);
      bytes.writeBigInt64BE(123_456n, 35);
    });
    expect(read(batch)[0]!.timestamps[0]).toBe(123_456);
  });

  test('name their schema by the registry id, unless a header says that the value only looks so', () => {
    const frame = Buffer.from([0, 0, 0, 0, 7]);
    const raw = { headers: [{ key: 'raw', value: null }] };
    const unknown = Buffer.from([0, 0, 0, 0, 9]);
    const fetched = encodeBatch(
      [record('a', { frame }), record('b', { frame, ...raw }), record('c', { frame: unknown }), record('plain')],
      plain,
      0,
    );
    const batch = read(fetched)[0]!;
    expect([...batch.schemas]).toEqual([3, -1, -1, -1]);
    expect(seen([batch]).map(({ value }) => value)).toEqual(['a', '\0\0\0\0\x07b', '\0\0\0\0\tc', 'plain']);
    expect(batch.headers(1)).toEqual([]);
  });
});

describe('compressed record batches', () => {
  const original = (): Buffer => encodeBatch([record('a'), record('b')], plain, 0);
  /** A raw Snappy block of literals only. */
  const literals = (bytes: Buffer): Buffer =>
    Buffer.concat([Buffer.from([bytes.length, (bytes.length - 1) << 2]), bytes]);
  const lz4 = (bytes: Buffer): Buffer => {
    const frame = Buffer.alloc(11);
    frame.writeUInt32LE(0x184d2204, 0);
    frame[4] = 0x60;
    frame[5] = 0x40;
    frame.writeUInt32LE((bytes.length | 0x80000000) >>> 0, 7);
    return Buffer.concat([frame, bytes, Buffer.alloc(4)]);
  };

  test.each([
    ['gzip', 1, gzipSync],
    ['snappy', 2, literals],
    ['lz4', 3, lz4],
  ] as const)('of %s are inflated', (_, codec, compress) => {
    expect(seen(read(compressed(original(), codec, compress)))).toEqual([
      { offset: 0, value: 'a' },
      { offset: 1, value: 'b' },
    ]);
  });

  test('that would fill memory, lie about their size or are of an unknown codec are damage', () => {
    const bomb = gzipSync(Buffer.alloc(65 * 1024 * 1024));
    const cases: [number, Buffer, RegExp][] = [
      [1, bomb, /gzip/],
      [1, Buffer.from('no gzip'), /gzip/],
      [2, Buffer.from([0xff, 0xff, 0xff, 0xff, 0x07, 0]), /announces/],
      [2, Buffer.from([4, 0x01, 9]), /copy leaves/],
      [3, Buffer.from('no lz4 frame'), /LZ4/],
      [6, Buffer.from('?'), /codec 6/],
    ];
    for (const [codec, bytes, message] of cases) {
      const batch = compressed(original(), codec, () => bytes);
      const batches = read(Buffer.concat([batch, placed(encodeBatch([record('after')], plain, 0), 2)]));
      expect(seen(batches)).toEqual([{ offset: 2, value: 'after' }]);
      expect(batches[0]!.damage).toEqual([
        { from: 0, to: 2, code: 'RECORD_INVALID', message: expect.stringMatching(message) },
      ]);
    }
  });
});
