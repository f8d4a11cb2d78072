import { describe, expect, test } from '@jest/globals';
import { compileMachine } from '../../../processors/runtime/machine/compile.js';
import type { ErrorCode } from '../../../schemas/errors.js';
import type { MachineConfig, StateNode } from '../../../schemas/policy/policy.js';
import { machineDriver } from '../../support/machine-driver.js';
import { intVariable, machinePolicy } from '../../support/machine-policy.js';

const policyOf = (machine: MachineConfig) => machinePolicy(machine, { a: { n: 'int' } }, [intVariable('x')]);
const refusal = (machine: MachineConfig): ErrorCode | undefined => {
  try {
    compileMachine(policyOf(machine));
    return undefined;
  } catch (error) {
    return (error as { code: ErrorCode }).code;
  }
};
const counting = { type: 'assign', params: { x: 'context.x + 1' } } as const;

describe('machines that might never rest', () => {
  test.each<[string, StateNode]>([
    ['always without a guard', { states: { one: { always: 'two' }, two: { always: 'one' } } }],
    ['raise that calls itself', { states: { one: { on: { a: again(), r: again() } } } }],
    ['raise that doubles', { states: { one: { on: { a: again(2), r: again(2) } } } }],
    ['a count that data might end', { states: { one: { always: { guard: 'context.x < 3', actions: counting } } } }],
    [
      'onDone into the same end',
      { states: { one: { initial: 'end', states: { end: { type: 'final' } }, onDone: 'one' } } },
    ],
  ])('refuses %s', (_, node) => {
    expect(refusal({ initial: 'one', ...node })).toBe('MACHINE_UNBOUNDED');
  });

  test('passes back and forth by opposite guards: no data takes both', () => {
    const policy = policyOf({
      initial: 'low',
      states: {
        low: { always: { guard: 'context.x >= 3', target: 'high' }, on: { a: { actions: counting } } },
        high: { always: { guard: 'context.x < 3', target: 'low' } },
      },
    });
    const ours = machineDriver(compileMachine(policy), policy);
    for (let i = 0; i < 3; i++) ours.send({ type: 'a' });
    expect(ours.states).toBe('high');
    expect(ours.last.violation).toBe(false);
  });

  test('a way round that data can take ends as a violation', () => {
    const policy = policyOf({
      initial: 'one',
      states: {
        one: { on: { a: { actions: counting } }, always: { guard: 'context.x > 0', target: 'two' } },
        two: { always: { guard: 'context.x > 0', target: 'one' } },
      },
    });
    const ours = machineDriver(compileMachine(policy), policy);
    expect(ours.last.violation).toBe(false);
    expect(ours.send({ type: 'a' }).violation).toBe(true);
  });
});

describe('machines that are too large', () => {
  const regions = (count: number, region: (i: number) => StateNode): Record<string, StateNode> =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`r${i}`, region(i)]));

  test('refuses too many combinations of states', () => {
    const ring: StateNode = {
      initial: 's0',
      states: { s0: { on: { a: { guard: 'args.n == 0', target: 's1' } } }, s1: { on: { a: 's0' } } },
    };
    expect(refusal({ type: 'parallel', states: regions(8, () => ring) })).toBeUndefined();
    const apart = (i: number): StateNode => ({
      initial: 's0',
      states: { s0: { on: { a: { guard: `args.n == ${i}`, target: 's1' } } }, s1: {} },
    });
    expect(refusal({ type: 'parallel', states: regions(9, apart) })).toBeUndefined();
    expect(refusal({ type: 'parallel', states: regions(12, apart) })).toBe('MACHINE_UNBOUNDED');
    const timed: StateNode = {
      initial: 's0',
      states: { s0: { after: { 1: 's1', 2: 's2', 3: 's3' } }, s1: {}, s2: {}, s3: {} },
    };
    expect(refusal({ type: 'parallel', states: regions(10, () => timed) })).toBe('MACHINE_TOO_LARGE');
  });

  test('refuses a tree too deep to walk, without running out of stack', () => {
    let node: StateNode = {};
    for (let i = 0; i < 10_000; i++) node = { initial: 's', states: { s: node } };
    expect(refusal(node)).toBe('MACHINE_TOO_LARGE');
  });

  test('names that lead nowhere are refused with their place', () => {
    for (const target of ['nowhere', '#nowhere', '.nowhere', 'one.nowhere']) {
      expect(refusal({ initial: 'one', states: { one: { on: { a: target } } } })).toBe('POLICY_INVALID');
    }
  });
});

function again(times = 1) {
  return { actions: Array.from({ length: times }, () => ({ type: 'raise', params: { event: 'r' } }) as const) };
}
