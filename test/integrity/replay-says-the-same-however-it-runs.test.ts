import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from '@jest/globals';
import { type CommandRan, digestsOf, succeed } from '../support/cli-run.js';
import { distProbe } from '../support/dist.js';
import { realPart } from '../support/real-part.js';
import { temporaryFolder } from '../support/tmp.js';
import { WORKLOAD_POLICY, writeWorkload } from '../support/workload.js';

const folder = temporaryFolder('same');
const events = join(folder, 'calls.ndjson');
const policy = join(folder, 'policy.yaml');

const replay = (partitions: number, ...more: string[]): Promise<CommandRan> =>
  succeed(
    ['replay', join(folder, `trace-${partitions}`), '--policy', policy, '--output', 'ndjson', ...more],
    [1], // it finds violations
  );

/** Verdicts without the coordinates of the log that they were read from, in an order of their own. */
const withoutCoordinates = ({ stdout }: CommandRan): string[] =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => {
      const verdict = JSON.parse(line) as { rests: object[] };
      const rests = verdict.rests.map((rest) => ({
        ...rest,
        topic: undefined,
        partition: undefined,
        offset: undefined,
      }));
      return JSON.stringify({ ...verdict, rests });
    })
    .sort();

realPart('build', distProbe)('a replay says the same', () => {
  let one: CommandRan;
  beforeAll(async () => {
    writeWorkload(events, {
      seed: 7,
      events: 30_000,
      hosts: 11,
      processesPerHost: 4,
      perMille: { wrong: 3, late: 40, unknown: 10, pause: 1 },
    });
    writeFileSync(policy, WORKLOAD_POLICY);
    for (const partitions of [1, 6, 24])
      await succeed(['import', events, '--out', join(folder, `trace-${partitions}`), '--partitions', `${partitions}`]);
    one = await replay(6);
  }, 60_000);

  test('of a stream that has all that a verdict can be', () => {
    const verdicts = one.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { state: string; replaces: string | null });
    expect(new Set(verdicts.map(({ state }) => state))).toEqual(
      new Set(['conforming', 'violated', 'undecided', 'withdrawn']),
    );
    expect(verdicts.some(({ replaces }) => replaces !== null)).toBe(true);
    expect(one.stderr).toMatch(/\d+ late events/);
    expect(one.stdout).toContain('deadline');
    expect(verdicts.length).toBeGreaterThan(500);
  });

  test.each([
    ['a second time', ['--workers', '1']],
    ['with two threads', ['--workers', '2']],
    ['with four threads', ['--workers', '4']],
  ])('byte for byte %s', async (_, options) => {
    const other = await replay(6, ...options);
    expect(digestsOf(other)).toEqual(digestsOf(one));
    expect(other.stdout === one.stdout).toBe(true);
  });

  test.each([1, 24])('with %i partitions instead of 6', async (partitions) => {
    const other = await replay(partitions, '--workers', '2');
    expect(digestsOf(other)).toEqual(digestsOf(one));
    expect(withoutCoordinates(other)).toEqual(withoutCoordinates(one));
  });

  test('but of another stream, or under another policy, something else', async () => {
    const stricter = join(folder, 'stricter.yaml');
    writeFileSync(stricter, WORKLOAD_POLICY.replaceAll('<= 80', '<= 79'));
    const other = await succeed(['replay', join(folder, 'trace-6'), '--policy', stricter, '--output', 'ndjson'], [1]);
    expect(digestsOf(other).digest).not.toBe(digestsOf(one).digest);
    expect(digestsOf(other).conclusions).not.toBe(digestsOf(one).conclusions);
    const part = await replay(6, '-o', '100');
    expect(digestsOf(part).digest).not.toBe(digestsOf(one).digest);
  });
});
