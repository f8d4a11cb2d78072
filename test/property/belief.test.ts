import { expect, test } from '@jest/globals';
import { compileMachine } from '../../processors/runtime/machine/compile.js';
import { START, type Timeline, timeline } from '../support/timeline.js';
import { Judge, type Placed, place } from '../support/timeline-judge.js';
import { FUNCTIONS, randomProcess, timelinePolicy } from '../support/timeline-machine.js';
import { Choices } from '../support/timeline-random.js';
import { Reference } from '../support/timeline-reference.js';
import { PROCESS, type SampleShape, sample } from '../support/timeline-sample.js';

const MACHINES = Number(process.env['BELIEF_MACHINES'] ?? 200);
const RUNS = 5;
const FROM = Number(process.env['BELIEF_SEED'] ?? 1);

/** A random process that keeps to its machine, looked at in a random way. */
const scene = (seed: number) => {
  const choices = new Choices(seed);
  const document = randomProcess(choices, {
    deadlines: 2,
    guarded: 0.4,
    circumstances: choices.chance(0.3),
    extra: choices.chance(0.15) ? { unexpected: 'ignore' } : {},
  });
  const bare = timelinePolicy(document);
  const machine = compileMachine(bare);
  const run = () => {
    const threads = choices.int(1, 3);
    const line = timeline(machine, bare, choices, {
      threads,
      calls: choices.int(1, 14),
      dwell: choices.of([0, 0, 200, 20_000]),
      silence: choices.of([300, 5000, 40_000]),
      computing: choices.of([0, 0.1, 0.4]),
      folded: choices.of([0, 0, 0.5]),
      illegal: false,
    });
    const stable = choices.chance(0.3);
    const shape: SampleShape = {
      period: choices.of([60, 3000, 30_000]),
      beginning: choices.chance(0.6),
      torn: choices.of([0, 0.2]),
      incomplete: choices.of([0, 0.2]),
      entry: choices.of([0, 0.5, 1]),
      stable,
      counts: choices.chance(0.8),
      skew: choices.of([3, 100, 1000]),
    };
    const assume: Record<string, unknown> = {};
    if (choices.chance(0.6))
      assume['minDuration'] = Object.fromEntries(
        FUNCTIONS.filter(() => choices.chance(0.8)).map((name) => [
          name,
          `${Math.min(line.shortest.get(name) ?? 5000, 3_600_000) / 1000}ms`,
        ]),
      );
    if (stable) assume['stable'] = FUNCTIONS.map((name) => `${name}.n`);
    const policy = timelinePolicy({ ...document, assume });
    const records = place(sample(line, choices, shape, choices.chance(0.5)), choices, {
      lost: choices.of([0, 0, 0.05]),
      dropped: choices.of([0, 0.1, 0.5]),
      told: choices.of([0, 0, 0.05]),
    });
    return { line, policy, records, machine, bare };
  };
  return { run };
};

/** Names what a failing run was, so that it can be run again alone. */
const told = (seed: number, what: string, records: readonly Placed[], line: Timeline): string =>
  `seed ${seed}: ${what}\n${JSON.stringify(line.calls)}\n${records.length} records`;

test('a process that keeps to its machine is never called violated, and its true state is always among those believed', () => {
  let runs = 0;
  let checked = 0;
  for (let seed = FROM; seed < FROM + MACHINES; seed++) {
    const { run } = scene(seed);
    for (let i = 0; i < RUNS; i++) {
      const { line, policy, records, machine, bare } = run();
      runs++;
      const judge = new Judge(policy);
      const truth = new Reference(machine, bare, START);
      let next = 0;
      for (const placed of records) {
        judge.take(placed);
        const violated = judge.verdicts.find(({ state }) => state === 'violated');
        if (violated !== undefined)
          throw new Error(told(seed, `run ${i}, record ${placed.record.seq}: ${violated.message}`, records, line));
        const found = judge.state.processes.get(PROCESS);
        const anchor = found?.anchor;
        if (placed.type !== 'Look' || !anchor || anchor.to !== placed.record.at) continue;
        while (next < line.calls.length && line.calls[next]!.at <= anchor.from) truth.call(line.calls[next++]!);
        // Calls made while the look went from thread to thread may be in the belief or not.
        if (next < line.calls.length && line.calls[next]!.at <= anchor.to) continue;
        truth.wait(anchor.from);
        const { track } = found.judged[0]!.instances.values().next().value!;
        const { configuration, context, timers } = truth.present;
        const holds =
          track.exact !== null
            ? track.exact.configuration === configuration &&
              track.exact.context.every((value, v) => value === context[v]) &&
              timers.every(({ timer, due }) => track.exact!.entered[timer]! + machine.timers[timer]!.delay === due)
            : track.hypotheses.some(
                (one) =>
                  one.configuration === configuration &&
                  one.context.every((value, v) => typeof value === 'symbol' || value === context[v]) &&
                  timers.every(({ timer, due }) => {
                    const entered = due - machine.timers[timer]!.delay;
                    return one.lo[timer]! <= entered && entered <= one.hi[timer]!;
                  }),
              );
        if (!holds)
          throw new Error(
            told(
              seed,
              `run ${i}, record ${placed.record.seq}: ${machine.describe(configuration)} ${JSON.stringify(timers)} is not in ${JSON.stringify(track.exact ?? track.hypotheses, (_k, v) => (typeof v === 'symbol' ? '?' : v))}`,
              records,
              line,
            ),
          );
        checked++;
      }
    }
  }
  expect(runs).toBe(MACHINES * RUNS);
  expect(checked).toBeGreaterThan(MACHINES * RUNS);
});
