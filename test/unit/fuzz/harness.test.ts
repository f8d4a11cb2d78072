import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { AttestreamError } from '../../../schemas/errors.js';
import { type FuzzTarget, fuzz } from '../../support/fuzz.js';
import { fuzzTarget, fuzzTargets } from '../../support/fuzz-run.js';
import { mutated } from '../../support/mutate.js';
import { ROOT } from '../../support/sources.js';

const SEEDS = [Buffer.from('0123456789 some input'), Buffer.alloc(100, 7)];
const target = (run: (input: Buffer) => void, more: Partial<FuzzTarget> = {}): FuzzTarget => ({
  seeds: () => SEEDS,
  run,
  ...more,
});

describe('mutation', () => {
  test('gives the same input for the same seed and number, others for others', () => {
    const inputs = Array.from({ length: 200 }, (_, i) => mutated(SEEDS, 1, i, 1000).toString('hex'));
    expect(Array.from({ length: 200 }, (_, i) => mutated(SEEDS, 1, i, 1000).toString('hex'))).toEqual(inputs);
    expect(new Set(inputs).size).toBeGreaterThan(150);
    expect(mutated(SEEDS, 2, 0, 1000).toString('hex')).not.toBe(inputs[0]);
  });

  test('leaves the well-formed inputs alone and keeps to the length', () => {
    const before = SEEDS.map((seed) => seed.toString('hex'));
    for (let i = 0; i < 2000; i++) expect(mutated(SEEDS, 3, i, 150).length).toBeLessThanOrEqual(150);
    expect(SEEDS.map((seed) => seed.toString('hex'))).toEqual(before);
  });
});

describe('the loop', () => {
  test('counts refusals and ends at its number of inputs', () => {
    const run = (input: Buffer): void => {
      if (!SEEDS.some((seed) => seed.equals(input))) throw new AttestreamError('USAGE', 'no');
    };
    const report = fuzz(target(run), { seed: 1, inputs: 300 });
    expect(report).toMatchObject({ inputs: 300, failure: null });
    expect(report.refused).toBeGreaterThan(200);
  });

  test('ends at its seconds', () => {
    const report = fuzz(
      target(() => {}),
      { seed: 1, cpuSeconds: 0.1 },
    );
    expect(report.failure).toBeNull();
    expect(report.inputs).toBeGreaterThan(100);
  });

  test('an error that is not a refusal is a failure, with the input that repeats it', () => {
    const run = (input: Buffer): void => {
      if (input.length < 20) throw new RangeError('out of range');
    };
    const { failure } = fuzz(target(run), { seed: 5, inputs: 10_000 });
    expect(failure).toMatchObject({ reason: expect.stringContaining('out of range') });
    const again = fuzz(target(run), { seed: 5, inputs: 1, from: failure!.number }).failure;
    expect(again).toMatchObject({ number: failure!.number, input: failure!.input });
    expect(mutated(SEEDS, 5, failure!.number, 64 * 1024)).toEqual(failure!.input);
  });

  test('a defect is a failure, and so is a well-formed input that is refused', () => {
    const defect = fuzz(
      target((input) => {
        if (!SEEDS.some((seed) => seed.equals(input))) throw new AttestreamError('INTERNAL', 'a defect');
      }),
      { seed: 1, inputs: 10 },
    );
    expect(defect.failure?.reason).toContain('a defect');
    const refusing = fuzz(
      target(() => {
        throw new AttestreamError('USAGE', 'no');
      }),
      { seed: 1, inputs: 10 },
    );
    expect(refusing.failure).toMatchObject({ number: -1 });
  });

  test('a large buffer and a slow answer are failures', () => {
    const large = fuzz(
      target((input) => {
        if (input.length > 100) Buffer.alloc(input.length * 1_000_000);
      }),
      { seed: 1, inputs: 10_000 },
    );
    expect(large.failure?.reason).toMatch(/Buffer\.alloc\(\d+\)/);
    const slow = fuzz(
      target(
        (input) => {
          for (let sum = 0; input.length > 100 && sum < 3e7; sum++);
        },
        { maxMillis: 2 },
      ),
      { seed: 1, inputs: 10_000 },
    );
    expect(slow.failure?.reason).toMatch(/took \d+ ms/);
  });
});

test('a hang is killed and its input told', async () => {
  const result = await fuzzTarget('../unit/fuzz/hanging', { seed: 3, inputs: 1000 }, 2000);
  expect(result.problem).toMatch(/no answer in 2 s/);
  const [, number, file] = /input (\d+), .* kept as (\S+)/.exec(result.problem!)!;
  const kept = readFileSync(join(ROOT, file!));
  rmSync(join(ROOT, file!));
  expect(kept).toEqual(mutated([Buffer.from('a well-formed input')], 3, Number(number), 64 * 1024));
  expect(kept[0]).not.toBe(0x61);
});

test('there is a target for every parser of lists', () => {
  expect(fuzzTargets()).toEqual(expect.arrayContaining(['ima-ascii', 'ima-binary']));
});
