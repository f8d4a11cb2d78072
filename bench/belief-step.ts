import { createActor, createMachine } from 'xstate';
import { advance } from '../processors/runtime/belief/advance.js';
import { top } from '../processors/runtime/belief/hypothesis.js';
import { policyInForce } from '../processors/runtime/policies.js';
import { Track } from '../processors/runtime/track.js';
import { policyFromDocument } from '../schemas/policy/parse.js';
import { toXState } from '../schemas/policy/to-xstate.js';
import type { Figure } from './figure.js';

const POLICY = {
  id: 'belief',
  functions: {
    read_sensor: {},
    actuate: { parameters: { level: { type: 'int', release: 'clear' } } },
  },
  machine: {
    initial: 'idle',
    states: {
      idle: { on: { read_sensor: 'deciding' }, after: { 5000: 'late' } },
      deciding: { on: { actuate: { guard: 'args.level <= 80', target: 'idle' } } },
      late: { tags: ['violation'] },
    },
  },
};

/** Millions of steps a second: the best of three runs of at least 100 ms. */
const rate = (steps: (count: number) => void, first: number): number => {
  steps(first);
  let count = first;
  let best = 0;
  for (let run = 0; run < 3; ) {
    const begun = performance.now();
    steps(count);
    const took = performance.now() - begun;
    if (took < 100) {
      count *= 2;
      continue;
    }
    best = Math.max(best, count / took / 1000);
    run++;
  }
  return best;
};

/** Steps of an exact run, and stretches of a belief in several states, beside an XState actor in the same run. */
export const bench = async (): Promise<Figure[]> => {
  const policy = policyFromDocument(POLICY, 'bench');
  const inForce = policyInForce(policy);
  const { machine } = inForce;
  const rules = inForce.rules(null, true);
  const source = { stream: '', seq: 0, offset: 0 };
  const events = [[machine.event('read_sensor')], [machine.event('actuate')]] as const;

  const exact = rate((count) => {
    const track = new Track(rules);
    track.begin(0);
    const args: (number | undefined)[] = [undefined];
    // One call that is changed, as the fold does it.
    const call = {
      function: '',
      thread: 1,
      callers: [],
      source,
      events: events[0] as readonly number[],
      args,
      notBefore: 0,
      at: 0,
    };
    for (let i = 0; i < count; i++) {
      call.events = events[i & 1]!;
      call.function = i & 1 ? 'actuate' : 'read_sensor';
      args[0] = i & 1 ? i & 63 : undefined;
      call.at = call.notBefore = i;
      track.call(call);
    }
    if (track.state !== 'conforming') throw new Error('the run was legal');
  }, 50_000);

  const believed = top(machine, 0, 10_000_000, 10_000_000);
  const stretch = { from: 10_000_000, to: 10_005_000, settled: 10_005_000, seen: [] };
  const quiet = rate((count) => {
    for (let i = 0; i < count; i++) advance(rules, believed, { ...stretch, unseen: [] });
  }, 2000);
  const open = rate((count) => {
    for (let i = 0; i < count; i++) advance(rules, believed, { ...stretch, unseen: inForce.unseen });
  }, 2000);

  const idle = [{ ...believed[0]!, lo: [9_000_000], hi: [10_000_000] }];
  const still = rate((count) => {
    for (let i = 0; i < count; i++) advance(rules, idle, { ...stretch, unseen: [] });
  }, 2000);

  const { config, guards, actions } = toXState(policy);
  const xstate = createMachine(config as never, { guards, actions } as never);
  const calls = [{ type: 'read_sensor' }, { type: 'actuate', args: { level: 40 } }];
  const sent = rate((count) => {
    const actor = createActor(xstate).start();
    for (let k = 0; k < count; k++) actor.send(calls[k & 1] as never);
    actor.stop();
  }, 4000);

  return (
    [
      ['exact step of a track', exact],
      ['quiet stretch of a belief whose deadline is far', still],
      [`quiet stretch of a belief of ${believed.length}`, quiet],
      [`stretch with unseen calls of a belief of ${believed.length}`, open],
    ] as const
  ).map(([name, figure]) => ({
    name: `${name}, beside XState actor.send`,
    figure,
    unit: 'M/s',
    baseline: sent,
    ratio: figure / sent,
  }));
};
