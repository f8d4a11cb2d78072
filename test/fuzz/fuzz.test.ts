import { beforeAll, describe, expect, test } from '@jest/globals';
import { type FuzzResult, fuzzAll, fuzzTargets } from '../support/fuzz-run.js';

/** Seconds of the processor for each parser; continuous integration asks for a minute. */
const SECONDS = Number(process.env['ATTESTREAM_FUZZ_SECONDS'] ?? 5);
/** The same inputs at every run, others on demand, as everywhere. */
const ASKED = process.env['ATTESTREAM_TEST_SEED'];
const SEED = ASKED === undefined ? 42 : ASKED === 'random' ? Date.now() % 2 ** 31 : Number(ASKED);

/** Targets that feed parts of one parser share its time; any other target is a parser of its own. */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  elf: ['elf', 'symbols', 'debuglink', 'demangle'],
  proc: ['maps', 'cgroup'],
  dwarf: ['dwarf-info', 'dwarf-lists', 'dwarf-line', 'dwarf-expression'],
  unwind: ['cfi', 'instructions', 'unwind'],
  ima: ['ima-ascii', 'ima-binary', 'ima-signature'],
  tpm: ['tpm-attest', 'tpm-public', 'tpm-response', 'tpm-selection', 'tpm-signature'],
  evidence: ['evidence', 'evidence-bundle', 'certificate'],
  policy: ['host-policy', 'keylime-policy'],
};

const names = fuzzTargets();
const secondsOf = (name: string): number =>
  SECONDS / (Object.values(PARTS).find((parts) => parts.includes(name))?.length ?? 1);

describe(`hostile input, ${SECONDS} CPU-seconds a parser`, () => {
  const results = new Map<string, FuzzResult>();

  beforeAll(
    async () => {
      for (const result of await fuzzAll(names, (name) => ({ seed: SEED, cpuSeconds: secondsOf(name) }), 2))
        results.set(result.name, result);
    },
    60_000 + names.length * (SECONDS + 10) * 4000,
  );

  test('there are parsers to feed, and every part that shares the time of one is there', () => {
    expect(names.length).toBeGreaterThan(0);
    expect(names).toEqual(expect.arrayContaining(Object.values(PARTS).flat()));
  });

  test.each(names)('%s: no crash, no hang, no memory by choice of the input', (name) => {
    const result = results.get(name)!;
    expect(result.problem).toBeNull();
    expect(result.inputs).toBeGreaterThan(0);
    // All refused means that mutation broke every input at its first check: nothing was tested then.
    expect(result.refused).toBeLessThan(result.inputs);
  });
});
