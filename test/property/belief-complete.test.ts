import { expect, test } from '@jest/globals';
import { runDigest } from '../../processors/engine/digest.js';
import { compileMachine } from '../../processors/runtime/machine/compile.js';
import type { Verdict } from '../../schemas/records.js';
import { verdictJson } from '../../schemas/verdict-json.js';
import { activation, judge, type Said } from '../support/runtime.js';
import { FUNCTIONS, randomProcess, timelinePolicy } from '../support/timeline-machine.js';
import { Choices } from '../support/timeline-random.js';
import { type Bad, type RealCall, Reference } from '../support/timeline-reference.js';

const START = 10_000_000;
const RUNS = Number(process.env['BELIEF_MACHINES'] ?? 250);

const trace = (choices: Choices): RealCall[] => {
  const calls: RealCall[] = [];
  let at = START;
  for (let i = choices.int(2, 14); i > 0; i--) {
    calls.push({ at, name: choices.of(FUNCTIONS), n: choices.int(0, 2), thread: 0, callers: [] });
    at += choices.scaled(1, 200_000);
  }
  return calls;
};

const written = (calls: readonly RealCall[], known: (call: RealCall) => boolean): Said[] =>
  calls.map((call, seq) => activation('h', seq, call.at, call.name, known(call) ? { n: call.n } : {}));

const violations = (verdicts: readonly Verdict[]): string[] =>
  verdicts
    .filter(({ state }) => state === 'violated')
    .map(({ at, trigger }) => (trigger.timer === null ? `call ${at}` : `timer ${trigger.timer} ${at}`));

const named = (bad: readonly Bad[]): string[] =>
  bad.map((one) => ('call' in one ? `call ${one.at}` : `timer ${one.timer} ${one.at}`));

test('a complete trace is violated exactly by the events that are bad for the reference', async () => {
  let bad = 0;
  for (let seed = 1; seed <= RUNS; seed++) {
    const choices = new Choices(seed);
    const document = randomProcess(choices, {
      deadlines: 2,
      guarded: 0.4,
      extra: { afterViolation: 'stay', unexpected: choices.chance(0.2) ? 'ignore' : 'violation' },
    });
    const policy = timelinePolicy(document);
    const calls = trace(choices);
    const reference = new Reference(compileMachine(policy), policy, START);
    const expected = named(calls.flatMap((call) => reference.call(call)));
    bad += expected.length;
    const { verdicts } = await judge(
      JSON.stringify(document),
      written(calls, () => true),
    );
    expect({ seed, violated: violations(verdicts) }).toEqual({ seed, violated: expected });
  }
  expect(bad).toBeGreaterThan(RUNS);
});

/** Each event at most a few places from where it belongs. */
const shuffled = <T>(list: readonly T[], choices: Choices): T[] =>
  list
    .map((one, i) => ({ one, place: i + choices.next() * 4 }))
    .sort((a, b) => a.place - b.place)
    .map(({ one }) => one);

test('events that come in another order lead to the same conclusions, and revisions name what they replace', async () => {
  let revised = 0;
  for (let seed = 1; seed <= RUNS; seed++) {
    const choices = new Choices(seed);
    const afterViolation = choices.of(['latch', 'stay', 'reset']);
    const document = JSON.stringify(randomProcess(choices, { deadlines: 2, guarded: 0.4, extra: { afterViolation } }));
    const calls = trace(choices);
    const unknown = new Set(calls.filter(() => choices.chance(seed % 3 === 0 ? 0.2 : 0)));
    const a = await judge(
      document,
      written(calls, (call) => !unknown.has(call)),
    );
    const b = await judge(
      document,
      written(shuffled(calls, choices), (call) => !unknown.has(call)),
    );
    const digest = ({ engine }: typeof a): string => runDigest([...engine.digests()], 'conclusions');
    expect(`${seed} ${afterViolation} ${digest(b)}`).toBe(`${seed} ${afterViolation} ${digest(a)}`);
    const said = new Set<string>();
    for (const { id, replaces } of b.verdicts) {
      if (replaces !== null) {
        revised++;
        expect(said.delete(replaces.toString('hex'))).toBe(true);
      }
      said.add(id.toString('hex'));
    }
  }
  expect(revised).toBeGreaterThan(RUNS / 10);
});

test('a snapshot anywhere changes no verdict of a complete trace', async () => {
  for (let seed = 1; seed <= RUNS / 2; seed++) {
    const choices = new Choices(seed);
    const document = JSON.stringify(
      randomProcess(choices, {
        deadlines: 2,
        guarded: 0.4,
        extra: {
          afterViolation: choices.of(['latch', 'stay', 'reset']),
          ...(choices.chance(0.4) ? { slice: { k: { f: 'n', g: 'n' } }, maxSlices: 2 } : {}),
        },
      }),
    );
    const said = written(shuffled(trace(choices), choices), () => choices.chance(0.8));
    const whole = await judge(document, said);
    const pieces = await judge(document, said, { cut: choices.int(1, 4) });
    expect(pieces.verdicts.map(verdictJson)).toEqual(whole.verdicts.map(verdictJson));
    expect(runDigest([...pieces.engine.digests()], 'head')).toBe(runDigest([...whole.engine.digests()], 'head'));
  }
});
