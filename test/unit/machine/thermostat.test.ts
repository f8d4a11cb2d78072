import { describe, expect, test } from '@jest/globals';
import { compileMachine } from '../../../processors/runtime/machine/compile.js';
import { possibleSteps, type Running, runStep } from '../../../processors/runtime/machine/run.js';
import { type Known, UNKNOWN, type Value } from '../../../schemas/policy/value.js';
import { thermostat } from '../../support/machine-policy.js';

const machine = compileMachine(thermostat());
const around = <V extends Known>(context: V[], level: V | undefined): Running<V> => ({
  // id, level, valve
  args: [undefined, level, undefined],
  context,
  event: { function: 'actuate', at: 0, notBefore: 0, thread: 1, callers: [] },
  slice: null,
});
const idle = machine.named('idle');
const deciding = machine.named('deciding');
const actuate = machine.event('actuate');

describe('the thermostat', () => {
  test('starts idle with its deadline running', () => {
    const initial = machine.initial();
    expect(initial).toMatchObject({ is: 'outcome', configuration: idle, taken: true, entered: [0], exited: [] });
    expect(machine.timers).toEqual([{ state: 'idle', delay: 5_000_000 }]);
    expect(machine.active(idle)).toEqual([0]);
    expect(machine.active(deciding)).toEqual([]);
    expect(machine.reachable().map(machine.describe)).toEqual(['idle', 'deciding', 'late']);
  });

  test('knows functions, then what every process has', () => {
    expect(machine.events).toEqual(['read_sensor', 'actuate', '$start', '$exec', '$fork', '$exit']);
    expect(machine.event('nothing')).toBe(-1);
    expect(machine.step(idle, -1)).toMatchObject({ is: 'outcome', taken: false, configuration: idle });
  });

  test('counts actuations within the limit and refuses the others', () => {
    const context: Value[] = [999];
    const errors = { count: 0 };
    const step = machine.step(deciding, actuate);
    expect(runStep(step, around(context, 80), errors)).toMatchObject({ configuration: idle, entered: [0] });
    expect(context).toEqual([1000]);
    expect(runStep(step, around(context, 80), errors)).toMatchObject({
      configuration: deciding,
      taken: false,
    });
    expect(errors.count).toBe(0);
    // A call without the parameter: an error, hence false.
    expect(runStep(step, around<Value>([0], undefined), errors).taken).toBe(false);
    expect(errors.count).toBe(1);
  });

  test('stops the deadline with the state and runs late when it passes', () => {
    expect(machine.step(idle, machine.event('read_sensor'))).toMatchObject({ configuration: deciding, exited: [0] });
    expect(machine.fire(idle, 0)).toMatchObject({ taken: true, violation: true, exited: [0] });
    expect(machine.violating(machine.named('late'))).toBe(true);
  });

  test('takes both ways where a level is unknown', () => {
    const ends: unknown[] = [];
    const env = around<Known>([7], UNKNOWN);
    possibleSteps(machine.step(deciding, actuate), env, (outcome, context, errors) => {
      ends.push([machine.describe(outcome.configuration), outcome.taken, context, errors]);
    });
    expect(ends).toEqual([
      ['idle', true, [8], 0],
      ['deciding', false, [7], 0],
    ]);
    expect(env.context).toEqual([7]);
  });

  test('has a digest of its meaning', () => {
    expect(machine.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(compileMachine(thermostat()).digest).toBe(machine.digest);
    const other = thermostat();
    expect(compileMachine({ ...other, parameterNames: ['level', 'other'] }).digest).not.toBe(machine.digest);
  });
});
