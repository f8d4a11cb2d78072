import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { openTrace } from '../../infra/log/trace/trace-log.js';
import { isAttestreamError } from '../../schemas/errors.js';
import { rawEntry } from '../contract/log-records.js';
import { temporaryFolder } from '../support/tmp.js';

const folder = temporaryFolder('flips');
const at = { topic: 'things', partition: 0 };
const BLOCKS = 12;
const PER_BLOCK = 3;

/** Byte ranges of the blocks, as the writer left them. */
const made = async (): Promise<{ path: string; bytes: Buffer; ends: number[] }> => {
  const log = await openTrace(folder);
  await log.createTopic('things', 1);
  const ends: number[] = [];
  let path = '';
  for (let block = 0; block < BLOCKS; block++) {
    await log.append(
      at,
      Array.from({ length: PER_BLOCK }, (_, i) => rawEntry(`${block * PER_BLOCK + i} ${'x'.repeat(20)}`)),
    );
    const name = readdirSync(join(folder, 'things/0')).find((file) => file.endsWith('.avro'))!;
    path = join(folder, 'things/0', name);
    ends.push(readFileSync(path).length);
  }
  await log.close();
  return { path, bytes: readFileSync(path), ends };
};

interface Read {
  readonly offsets: Map<number, string>;
  readonly lost: Set<number>;
}

const readAll = async (): Promise<Read> => {
  const log = await openTrace(folder, { readOnly: true });
  const offsets = new Map<number, string>();
  const lost = new Set<number>();
  try {
    for await (const batch of log.read(at, 0, BLOCKS * PER_BLOCK)) {
      for (const { from, to } of batch.damage) for (let i = from; i < to; i++) lost.add(i);
      for (let i = 0; i < batch.length; i++)
        offsets.set(batch.offsets[i]!, batch.bytes.toString('latin1', batch.values[2 * i], batch.values[2 * i + 1]));
    }
    return { offsets, lost };
  } finally {
    await log.close();
  }
};

test('flipped bits harm no block but their own, and every loss is reported', async () => {
  const { path, bytes, ends } = await made();
  const begin = bytes.indexOf(bytes.subarray(ends[0]! - 16, ends[0])) + 16;
  const blockOf = (position: number): number => ends.findIndex((end) => position < end);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: begin, max: bytes.length - 1 }), fc.integer({ min: 0, max: 7 })), {
        minLength: 1,
        maxLength: 3,
      }),
      async (flips) => {
        const damaged = Buffer.from(bytes);
        const touched = new Set<number>();
        for (const [position, bit] of flips) {
          damaged[position]! ^= 1 << bit;
          touched.add(blockOf(position));
        }
        // A block whose sync marker is gone cannot be told from the next one.
        for (const block of [...touched]) touched.add(block + 1);
        let tail = BLOCKS;
        while (touched.has(tail - 1)) tail--;
        writeFileSync(path, damaged);
        const { offsets, lost } = await readAll();
        for (let offset = 0; offset < BLOCKS * PER_BLOCK; offset++) {
          const value = offsets.get(offset);
          if (!touched.has(Math.floor(offset / PER_BLOCK))) expect(value).toBe(`${offset} ${'x'.repeat(20)}`);
          // Damaged blocks at the end may look as if their writer was interrupted: that is an end, not a loss.
          if (offset < tail * PER_BLOCK)
            expect([offset, value !== undefined || lost.has(offset)]).toEqual([offset, true]);
          expect([offset, value !== undefined && lost.has(offset)]).toEqual([offset, false]);
        }
      },
    ),
    { numRuns: 200 },
  );
  writeFileSync(path, bytes);
});

test('flipped bits in the header end in records or in a clear error', async () => {
  const name = readdirSync(join(folder, 'things/0')).find((file) => file.endsWith('.avro'))!;
  const path = join(folder, 'things/0', name);
  const bytes = readFileSync(path);
  const header = bytes.indexOf(bytes.subarray(bytes.length - 16)) + 16;
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: header - 1 }), fc.integer({ min: 0, max: 7 }), async (position, bit) => {
      const damaged = Buffer.from(bytes);
      damaged[position]! ^= 1 << bit;
      writeFileSync(path, damaged);
      try {
        const { offsets, lost } = await readAll();
        expect(offsets.size + lost.size).toBeLessThanOrEqual(BLOCKS * PER_BLOCK);
      } catch (error) {
        if (!isAttestreamError(error, 'TRACE_FOREIGN') && !isAttestreamError(error, 'TRACE_CORRUPT')) throw error;
        expect(error.place.path).toBe(path);
      }
    }),
    { numRuns: 200 },
  );
  writeFileSync(path, bytes);
});
