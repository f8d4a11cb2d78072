import { expect, test } from '@jest/globals';
import { initialTransition, setup, transition } from 'xstate';
import { defineProcess } from '../../../schemas/policy/define-process.js';
import { policyFromDocument } from '../../../schemas/policy/parse.js';
import { type CallEvent, type MachineContext, toXState } from '../../../schemas/policy/to-xstate.js';

const definition = defineProcess(
  {
    id: 'thermostat',
    functions: {
      read_sensor: { parameters: { id: 'clear' } },
      actuate: { parameters: { level: { type: 'int', release: 'clear' }, valve: 'hash' } },
    },
    machine: {
      initial: 'idle',
      context: { actuations: 0, last: null },
      states: {
        idle: { on: { read_sensor: 'deciding' }, after: { 5000: 'late' } },
        deciding: {
          on: {
            actuate: {
              guard: 'args.level <= 80 && context.actuations < 2',
              actions: [
                { type: 'assign', params: { actuations: 'context.actuations + 1', last: 'args.level' } },
                { type: 'raise', params: { event: 'moved' } },
              ],
            },
            moved: 'idle',
          },
        },
        late: { tags: 'violation' },
      },
    },
    assume: { minDuration: { actuate: '4ms' }, stable: ['actuate.level'] },
  },
  ['moved'],
);

test('a definition is the document of a policy', () => {
  const policy = policyFromDocument(definition, 'thermostat.ts');
  expect(policy.functions.get('actuate')?.parameters.get('level')).toEqual({ type: 'int', release: 'clear' });
  expect(policyFromDocument(JSON.parse(JSON.stringify(definition)), 'thermostat.json').digest).toBe(policy.digest);
});

test('names of functions are known to the compiler', () => {
  const wrong = defineProcess({
    id: 'x',
    functions: { open: {} },
    machine: {
      initial: 'a',
      // @ts-expect-error no such function
      states: { a: { on: { opne: 'a' } } },
    },
  });
  expect(() => policyFromDocument(wrong, 'x')).toThrow('did you mean "open"?');
});

test('XState runs the machine by its text', () => {
  const { config, guards, actions } = toXState(policyFromDocument(definition, 'thermostat.ts'));
  const machine = setup({
    types: {} as { context: MachineContext; events: CallEvent },
    guards: guards as never,
    actions: actions as never,
  }).createMachine(config as never);
  let [snapshot] = initialTransition(machine);
  const send = (event: CallEvent): unknown => {
    [snapshot] = transition(machine, snapshot, event as never);
    return snapshot.value;
  };
  expect(send({ type: 'read_sensor', args: { id: 1 } })).toBe('deciding');
  expect(send({ type: 'actuate', args: { level: 81 } })).toBe('deciding');
  expect(send({ type: 'actuate', args: {} })).toBe('deciding');
  expect(send({ type: 'actuate', args: { level: 80 } })).toBe('idle');
  expect(snapshot.context).toEqual({ actuations: 1, last: 80 });
});
