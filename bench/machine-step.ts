import { createActor, createMachine, transition } from 'xstate';
import { compileMachine } from '../processors/runtime/machine/compile.js';
import { type Errors, runStep } from '../processors/runtime/machine/run.js';
import { policyFromDocument } from '../schemas/policy/parse.js';
import { toXState } from '../schemas/policy/to-xstate.js';
import type { Value } from '../schemas/policy/value.js';
import type { Figure } from './figure.js';

/** The thermostat of the documentation, its counter bounded as there. */
const THERMOSTAT = {
  id: 'thermostat',
  functions: {
    read_sensor: { parameters: { id: 'clear' } },
    actuate: { parameters: { level: { type: 'int', release: 'clear' }, valve: 'hash' } },
  },
  machine: {
    initial: 'idle',
    context: { actuations: 0 },
    states: {
      idle: { on: { read_sensor: 'deciding' }, after: { 5000: 'late' } },
      deciding: {
        on: {
          actuate: {
            guard: 'args.level <= 80 && context.actuations < 1000',
            actions: { type: 'assign', params: { actuations: 'context.actuations + 1' } },
            target: 'idle',
          },
        },
      },
      late: { tags: ['violation'] },
    },
  },
};

/** Millions of steps a second: warm-up, then the best of three runs of about 200 ms, as other work shares the core. */
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

/** One step of the compiled machine, beside XState's pure function and its actor on the same events in the same run. */
export const bench = async (): Promise<Figure[]> => {
  const policy = policyFromDocument(THERMOSTAT, 'bench');
  const machine = compileMachine(policy);
  const read = machine.event('read_sensor');
  const actuate = machine.event('actuate');
  const initial = machine.named('idle');
  const level = policy.parameterNames.indexOf('level');

  const args: (Value | undefined)[] = policy.parameterNames.map(() => undefined);
  const context: Value[] = [0];
  const env = {
    args,
    context,
    event: { function: 'actuate', at: 0, notBefore: 0, thread: 1, callers: [] },
    slice: null,
  };
  const errors: Errors = { count: 0 };
  const compiled = rate((count) => {
    let configuration = initial;
    for (let i = 0; i < count; i++) {
      args[level] = i & 63;
      // The bound of the counter is met now and then: begun anew, as a new process would.
      if (context[0] === 1000) context[0] = 0;
      configuration = runStep(machine.step(configuration, i & 1 ? actuate : read), env, errors).configuration;
    }
    if (configuration !== initial) throw new Error('the thermostat stands where it should not');
  }, 200_000);
  if (errors.count > 0) throw new Error('an expression of the benchmark gave an error');

  const { config, guards, actions } = toXState(policy);
  const xstate = createMachine(config as never, { guards, actions } as never);
  const calls = [
    { type: 'read_sensor', args: { id: 1 } },
    { type: 'actuate', args: { level: 40 } },
  ];
  const actor = createActor(xstate).start();
  const fresh = actor.getSnapshot();
  const pure = rate((count) => {
    let snapshot = fresh;
    for (let i = 0; i < count; i++) {
      if (i % 2000 === 0) snapshot = fresh;
      [snapshot] = transition(xstate, snapshot, calls[i & 1] as never);
    }
  }, 4000);
  actor.stop();
  const sent = rate((count) => {
    for (let i = 0; i < count; i += 2000) {
      // Its counter ends after 1,000 actuations: one actor per 2,000 events, stopped so that its timer does not live on.
      const one = createActor(xstate).start();
      for (let k = 0; k < 2000; k++) one.send(calls[k & 1] as never);
      one.stop();
    }
  }, 4000);

  return [
    {
      name: 'machine step, beside XState transition()',
      figure: compiled,
      unit: 'M/s',
      baseline: pure,
      ratio: compiled / pure,
    },
    {
      name: 'machine step, beside XState actor.send',
      figure: compiled,
      unit: 'M/s',
      baseline: sent,
      ratio: compiled / sent,
    },
  ];
};
