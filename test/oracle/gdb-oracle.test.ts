import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { realPart } from '../support/real-part.js';
import { temporaryFolder } from '../support/tmp.js';
import { BUILDS, type Build, compile, toolMissing } from './builds.js';
import { addKnown, type Comparison, compareKnown, type KnownValues } from './compare.js';
import { gdbProbe, judgeProcess } from './judge.js';
import { type Place, placeFor } from './place.js';

const folder = temporaryFolder('oracle');
const only = process.env['ATTESTREAM_ORACLE'];
const builds = BUILDS.filter(({ name }) => only === undefined || name.includes(only));
const results = new Map<string, Comparison>();
const known: KnownValues = new Map();
const programs = new Map<Build, string>();
let place: Place;

beforeAll(async () => {
  if (gdbProbe() !== null) return;
  for (const build of builds) if (toolMissing(build) === '') programs.set(build, await compile(build, folder));
  place = await placeFor(folder, [...programs.values()]);
}, 180_000);

afterAll(() => place?.stop(), 60_000);

const judge = async (build: Build): Promise<Comparison> => {
  const program = programs.get(build)!;
  const { pid, end } = await place.start(program);
  try {
    const { comparison, look, truth } = await judgeProcess(pid, program);
    if (build === BUILDS[0]) for (const frames of truth.values()) addKnown(frames, known);
    if (build.compiler === 'musl-gcc') {
      // gdb loses its way where there is no call frame information: what it said of the first build must do.
      const own = look.threads.map((thread) => compareKnown(thread, program, known, comparison));
      expect(look.threads.every(({ complete }) => complete)).toBe(true);
      expect(own.every((frames) => frames >= 1)).toBe(true);
    }
    return comparison;
  } finally {
    end();
  }
};

for (const build of builds) {
  const missing = toolMissing(build);
  const part = missing === '' ? realPart('gdb', gdbProbe) : realPart(build.compiler, () => missing);
  part(build.name, () => {
    test('no wrong frame and no wrong value', async () => {
      const comparison = await judge(build);
      results.set(build.name, comparison);
      expect(comparison.wrongFrames).toEqual([]);
      expect(comparison.wrongValues).toEqual([]);
      expect(comparison.otherNames).toEqual([]);
      // Without call frame information a stack may end early, but never go wrong.
      expect(comparison.frames).toBeGreaterThan(build.compiler.startsWith('musl') ? 7 : 20);
    }, 60_000);
  });
}

/** ATTESTREAM_ORACLE_REASONS=1 tells why values are missing, and which gdb knows. */
const reasonsOf = (name: string, { reasons, unconfirmedList, missedList }: Comparison): string =>
  [
    `${name}:`,
    ...[...reasons].sort((a, b) => b[1] - a[1]).map(([why, count]) => `  ${count} × ${why}`),
    ...unconfirmedList.map((line) => `  gdb has none: ${line}`),
    ...missedList.map((line) => `  gdb has it: ${line}`),
  ].join('\n');

afterAll(() => {
  if (results.size === 0) return;
  const rows = [...results].map(([name, { threads, incomplete, frames, values, unavailable, missed, unconfirmed }]) => {
    const all = values + unavailable;
    const share = `${((unavailable * 100) / Math.max(1, all)).toFixed(0)} %`;
    return [name, `${threads - incomplete}/${threads}`, frames, all, share, missed, unconfirmed].join(' | ');
  });
  const head = `${place.name}: build | stacks to the root | frames | parameters | unavailable | known to gdb only | unknown to gdb`;
  process.stderr.write(`${head}\n${rows.join('\n')}\n`);
  if (process.env['ATTESTREAM_ORACLE_REASONS'] !== undefined)
    process.stderr.write(`${[...results].map(([name, result]) => reasonsOf(name, result)).join('\n')}\n`);
});
