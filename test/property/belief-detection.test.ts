import { expect, test } from '@jest/globals';
import { runDigest } from '../../processors/engine/digest.js';
import { compileMachine } from '../../processors/runtime/machine/compile.js';
import { verdictJson } from '../../schemas/verdict-json.js';
import { judge } from '../support/runtime.js';
import { timeline } from '../support/timeline.js';
import { Judge, place, saidOf } from '../support/timeline-judge.js';
import { FUNCTIONS, randomProcess, timelinePolicy } from '../support/timeline-machine.js';
import { Choices } from '../support/timeline-random.js';
import { sample } from '../support/timeline-sample.js';

const RUNS = 500;
const KEPT = { lost: 0, dropped: 0, told: 0 };

/** Slow calls, looks closer together than any call is long, everything declared. */
const watched = (seed: number, threads: number, illegal: boolean, flat = false) => {
  const choices = new Choices(seed);
  const document = randomProcess(choices, {
    deadlines: 1,
    guarded: 0.4,
    extra: { assume: { minDuration: Object.fromEntries(FUNCTIONS.map((name) => [name, '30ms'])) } },
  });
  const policy = timelinePolicy(document);
  const line = timeline(compileMachine(policy), policy, choices, {
    threads,
    calls: choices.int(2, 8),
    dwell: 30_000,
    silence: 40_000,
    computing: 0,
    folded: 0,
    sites: 1000,
    flat,
    illegal,
  });
  const records = place(
    sample(
      line,
      choices,
      {
        period: 12_000,
        beginning: true,
        torn: 0.05,
        incomplete: 0,
        entry: 1,
        stable: true,
        counts: true,
        skew: 30,
      },
      false,
    ),
    choices,
    KEPT,
  );
  return { document, policy, line, records };
};

const detection = (threads: number, flat: boolean): { detected: number; undecided: number; illegal: number } => {
  const count = { detected: 0, undecided: 0, illegal: 0 };
  for (let seed = 1; seed <= RUNS; seed++) {
    const { policy, line, records } = watched(seed, threads, true, flat);
    if (line.illegal === null) continue;
    count.illegal++;
    const judge = new Judge(policy);
    for (const record of records) judge.take(record);
    const last = judge.verdicts.at(-1)?.state;
    if (judge.verdicts.some(({ state }) => state === 'violated')) count.detected++;
    else if (last === 'undecided') count.undecided++;
  }
  return count;
};

test.each([
  [1, true, 0.9, 0.9],
  // Outer frames that stay while inner ones come and go may each have been called anew: less can be told.
  [1, false, 0.65, 0.7],
  // Several threads that run at once are looked at one after the other: much stays undecided.
  [2, false, 0.4, 0.8],
])('with truthful durations, forbidden calls of %i threads (flat: %s) are found', (threads, flat, share, noticed) => {
  const { detected, illegal, undecided } = detection(threads, flat);
  if (process.env['BELIEF_REPORT'] !== undefined)
    process.stdout.write(
      `threads ${threads}, flat ${flat}: ${detected / illegal} of ${illegal} violated, ${undecided / illegal} undecided\n`,
    );
  expect(illegal).toBeGreaterThan(RUNS / 4);
  expect(detected / illegal).toBeGreaterThan(share);
  expect((detected + undecided) / illegal).toBeGreaterThan(noticed);
});

test('a legal run under the same declarations is mostly called conforming, not undecided', () => {
  let undecided = 0;
  for (let seed = 1; seed <= RUNS / 2; seed++) {
    const { policy, records } = watched(seed, 1, false);
    const judge = new Judge(policy);
    for (const record of records) judge.take(record);
    if (judge.verdicts.at(-1)?.state === 'undecided') undecided++;
  }
  if (process.env['BELIEF_REPORT'] !== undefined) process.stdout.write(`legal: ${undecided / (RUNS / 2)} undecided\n`);
  expect(undecided / (RUNS / 2)).toBeLessThan(0.2);
});

test('a snapshot anywhere changes no verdict of a sampled process', async () => {
  for (let seed = 1; seed <= 150; seed++) {
    const choices = new Choices(seed);
    const { document, records } = watched(seed, choices.int(1, 2), choices.chance(0.7));
    const sliced = choices.of([{}, { slice: { thread: true } }, { slice: { k: { f: 'n', g: 'n' } }, maxSlices: 2 }]);
    const afterViolation = choices.of(['latch', 'stay', 'reset']);
    const policy = JSON.stringify({ ...document, ...sliced, afterViolation });
    const whole = await judge(policy, saidOf(records));
    const pieces = await judge(policy, saidOf(records), { cut: choices.int(1, 5) });
    expect(pieces.verdicts.map(verdictJson)).toEqual(whole.verdicts.map(verdictJson));
    expect(runDigest([...pieces.engine.digests()], 'head')).toBe(runDigest([...whole.engine.digests()], 'head'));
  }
});
