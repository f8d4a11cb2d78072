import { describe, expect, test } from '@jest/globals';
import { compileMachine } from '../../../processors/runtime/machine/compile.js';
import type { MachineConfig, StateNode, Transition } from '../../../schemas/policy/policy.js';
import { compareWithXState } from '../../support/compare-with-xstate.js';
import { machineDriver } from '../../support/machine-driver.js';
import { intVariable, machinePolicy } from '../../support/machine-policy.js';
import type { Move } from '../../support/random-machine.js';

const policyOf = (machine: MachineConfig) =>
  machinePolicy(machine, { a: { n: 'int' }, b: { n: 'int' }, c: { n: 'int' } }, [intVariable('x'), intVariable('log')]);

/** Runs a trace like `a b 3 c`: letters are calls, numbers wait that many ms. Compares with XState at each move. */
const run = (machine: MachineConfig, trace: string) => {
  const policy = policyOf(machine);
  const compiled = compileMachine(policy);
  const moves = trace
    .split(' ')
    .map((word): Move => (/^\d+$/.test(word) ? { wait: Number(word) } : { event: word, n: 1 }));
  const compared = compareWithXState(policy, compiled, moves);
  const ours = machineDriver(compiled, policy);
  for (const move of moves) {
    if ('wait' in move) ours.wait(move.wait * 1000);
    else ours.send({ type: move.event, args: { n: move.n } });
  }
  return {
    ...ours,
    states: ours.states,
    word: compiled.describe(ours.configuration),
    x: ours.context[0],
    log: ours.context[1],
    last: ours.last,
    compared,
  };
};

const note = (digit: number) => ({ type: 'assign', params: { log: `context.log * 10 + ${digit}` } }) as const;

describe('always', () => {
  const region = (digit: number, own: StateNode): StateNode => ({
    initial: 'one',
    states: {
      one: { ...own, always: { guard: 'context.x == 1', target: 'end', actions: note(digit) } },
      two: { always: { guard: 'context.x == 1', target: 'end', actions: note(digit) } },
      end: {},
    },
  });
  const machine: MachineConfig = {
    type: 'parallel',
    states: {
      left: region(1, { on: { a: 'two', c: { target: 'one', reenter: true } } }),
      right: region(2, {}),
    },
    on: { b: { actions: { type: 'assign', params: { x: 1 } } } },
  };

  test('asks leaves in the order in which they were entered', () => {
    expect(run(machine, 'b').log).toBe(12);
    expect(run(machine, 'a b').log).toBe(21);
    expect(run(machine, 'a').word).toBe('left.two|right.one/1,0');
  });

  test('keeps the order of leaves where the same states are entered again', () => {
    expect(run(machine, 'c b').log).toBe(12);
  });

  test('leaves order out of configurations where it decides nothing', () => {
    const plain = { ...machine, states: { ...machine.states, right: { initial: 'one', states: { one: {} } } } };
    expect(run(plain, 'a').word).toBe('left.two|right.one');
  });

  test('is asked after an event that nothing else takes', () => {
    const late: MachineConfig = {
      initial: 'one',
      states: { one: { always: { guard: 'args.n == 1', target: 'two' } }, two: {} },
    };
    expect(run(late, 'a')).toMatchObject({ states: 'two', last: { taken: true } });
  });
});

describe('timers', () => {
  test('a timer that fires while its state stays is spent, and comes back with the state', () => {
    const machine: MachineConfig = {
      initial: 'one',
      states: {
        one: { after: { 3: { actions: note(3) }, 5: { guard: 'context.x == 1', target: 'two' } }, on: { a: 'two' } },
        two: { on: { b: 'one' } },
      },
    };
    expect(run(machine, '4')).toMatchObject({ log: 3, word: 'one!one@3000' });
    // No guard lets the second one through: spent as well.
    expect(run(machine, '9')).toMatchObject({ log: 3, word: 'one!one@3000!one@5000', last: { taken: false } });
    expect(run(machine, '9 a b')).toMatchObject({ word: 'one', last: { entered: [0, 1] } });
  });

  test('of two that are due at once the one registered first goes first', () => {
    const branch = (digit: number): StateNode => ({
      initial: 'one',
      states: { one: { on: { [digit === 1 ? 'a' : 'b']: 'two' } }, two: { after: { 2: { actions: note(digit) } } } },
    });
    const machine: MachineConfig = { type: 'parallel', states: { p: branch(1), q: branch(2) } };
    expect(run(machine, 'a b 2').log).toBe(12);
    expect(run(machine, 'b a 2').log).toBe(21);
  });

  test('a state passed through leaves no timer, one entered again starts anew', () => {
    const machine: MachineConfig = {
      initial: 'one',
      states: {
        one: { after: { 4: 'two' }, on: { a: { target: 'one', reenter: true }, b: 'pass' } },
        pass: { after: { 1: 'one' }, always: 'two' },
        two: {},
      },
    };
    expect(run(machine, '3 a 3').states).toBe('one');
    expect(run(machine, '3 a 4').states).toBe('two');
    expect(run(machine, 'b')).toMatchObject({ states: 'two', last: { entered: [], exited: [0] } });
  });

  test('chained deadlines pass within one wait', () => {
    const machine: MachineConfig = {
      initial: 'one',
      states: { one: { after: { 2: 'two' } }, two: { after: { 2: 'three' } }, three: { after: { 2: 'one' } } },
    };
    expect(run(machine, '5')).toMatchObject({
      states: 'three',
      timers: [{ state: 'three', delay: 2000, deadline: 6000 }],
    });
  });
});

describe('transitions', () => {
  test('a forbidden event is not taken and does not bubble', () => {
    const machine: MachineConfig = {
      initial: 'one',
      states: { one: { on: { a: {} } }, two: {} },
      on: { a: '.two', b: '.two' },
    };
    expect(run(machine, 'a')).toMatchObject({ states: 'one', last: { taken: false } });
    expect(run(machine, 'b')).toMatchObject({ states: 'two', last: { taken: true } });
  });

  test('the word itself goes before *, and * takes whatever nobody names', () => {
    const on: Record<string, Transition[]> = {
      '*': [{ actions: note(9) }],
      a: [{ guard: 'context.log > 0', actions: note(1) }],
    };
    const machine: MachineConfig = { initial: 'one', states: { one: { on } } };
    expect(run(machine, 'a a b $exec nobody').log).toBe(91999);
  });

  test('regions act in document order, exits from the inside out', () => {
    const machine: MachineConfig = {
      initial: 'p',
      states: {
        p: {
          type: 'parallel',
          exit: note(1),
          states: {
            q: { exit: note(2), on: { b: { actions: note(4) } } },
            r: { exit: note(3), on: { b: { actions: note(5) } } },
          },
          on: { a: 'end' },
        },
        end: { entry: note(6) },
      },
    };
    expect(run(machine, 'b a').log).toBe(453216);
  });

  test('raised events carry no parameters, and their name is the event', () => {
    const machine: MachineConfig = {
      initial: 'one',
      states: {
        one: {
          on: {
            a: { actions: { type: 'raise', params: { event: 'r' } } },
            r: [
              { guard: 'args.n == 1', actions: note(1) },
              { guard: 'event.function == "r"', actions: note(2) },
            ],
          },
        },
      },
    };
    expect(run(machine, 'a').log).toBe(2);
  });
});

describe('final states', () => {
  test('a compound state is done in its final child, a parallel one in all regions', () => {
    const half = (event: string): StateNode => ({
      initial: 'on',
      states: { on: { on: { [event]: 'off' } }, off: { type: 'final' } },
    });
    const machine: MachineConfig = {
      initial: 'work',
      states: {
        work: {
          type: 'parallel',
          states: { p: { ...half('a'), onDone: { actions: note(1) } }, q: half('b') },
          onDone: 'after',
        },
        after: { on: { c: 'end' } },
        end: { type: 'final', entry: note(2), exit: note(3) },
      },
    };
    expect(run(machine, 'a').states).toBe('work.p.off|work.q.on');
    expect(run(machine, 'a b')).toMatchObject({ states: 'after', log: 1 });
    expect(run(machine, 'a b c')).toMatchObject({ states: 'end', log: 123, last: { done: true } });
    expect(run(machine, 'a b c a')).toMatchObject({ states: 'end', log: 123, last: { done: true, taken: false } });
  });
});
