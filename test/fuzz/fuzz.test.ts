import { beforeAll, describe, expect, test } from '@jest/globals';
import { type FuzzResult, fuzzAll, fuzzTargets } from '../support/fuzz-run.js';

/** Seconds of the processor for each parser; continuous integration asks for a minute. */
const SECONDS = Number(process.env['ATTESTREAM_FUZZ_SECONDS'] ?? 5);
/** The same inputs at every run, others on demand, as everywhere. */
const ASKED = process.env['ATTESTREAM_TEST_SEED'];
const SEED = ASKED === undefined ? 42 : ASKED === 'random' ? Date.now() % 2 ** 31 : Number(ASKED);

const names = fuzzTargets();

describe(`hostile input, ${SECONDS} CPU-seconds a parser`, () => {
  const results = new Map<string, FuzzResult>();

  beforeAll(
    async () => {
      for (const result of await fuzzAll(names, { seed: SEED, cpuSeconds: SECONDS }, 2))
        results.set(result.name, result);
    },
    60_000 + names.length * (SECONDS + 10) * 4000,
  );

  test('there are parsers to feed', () => {
    expect(names.length).toBeGreaterThan(0);
  });

  test.each(names)('%s: no crash, no hang, no memory by choice of the input', (name) => {
    const result = results.get(name)!;
    expect(result.problem).toBeNull();
    expect(result.inputs).toBeGreaterThan(0);
    // All refused means that mutation broke every input at its first check: nothing was tested then.
    expect(result.refused).toBeLessThan(result.inputs);
  });
});
