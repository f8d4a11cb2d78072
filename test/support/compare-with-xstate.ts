import { expect } from '@jest/globals';
import type { Machine } from '../../processors/runtime/machine/machine.js';
import type { Policy } from '../../schemas/policy/policy.js';
import type { CallEvent } from '../../schemas/policy/to-xstate.js';
import { machineDriver } from './machine-driver.js';
import type { Move } from './random-machine.js';
import { xstateOracle } from './xstate-oracle.js';

/** The parameter `m` is never given, so that reading it is an error. */
export const callOf = (move: { readonly event: string; readonly n: number }): CallEvent => ({
  type: move.event,
  args: { n: move.n },
});

/** Makes every move on both sides and compares; returns how many could be compared. */
export const compareWithXState = (policy: Policy, machine: Machine, moves: readonly Move[]): number => {
  const ours = machineDriver(machine, policy);
  const oracle = xstateOracle(policy);
  const agree = (): void => {
    expect({ states: ours.states, context: ours.context, timers: ours.timers, done: ours.last.done }).toEqual({
      states: oracle.states,
      context: oracle.context,
      timers: oracle.timers,
      done: oracle.done,
    });
    expect([...ours.running].sort()).toEqual([...machine.active(ours.configuration)].sort());
    expect(machine.named(machine.describe(ours.configuration))).toBe(ours.configuration);
  };
  // Where XState would hang, ours ends in a violation.
  if (oracle.hung) {
    expect(ours.last.violation).toBe(true);
    return 0;
  }
  agree();
  expect(ours.last.violation).toBe(oracle.violated);
  let compared = 1;
  for (const move of moves) {
    if (oracle.done) break;
    const before = machine.violating(ours.configuration);
    const untouched = { configuration: ours.configuration, context: [...ours.context], timers: ours.timers };
    if ('wait' in move) {
      ours.wait(move.wait * 1000);
      oracle.wait(move.wait * 1000);
      if (oracle.hung) break;
    } else {
      const outcome = ours.send(callOf(move));
      const enabled = oracle.send(callOf(move));
      if (oracle.hung) {
        expect(outcome.violation).toBe(true);
        break;
      }
      if (enabled) expect(outcome.taken).toBe(true);
      if (!outcome.taken) {
        expect(enabled).toBe(false);
        expect({ configuration: ours.configuration, context: ours.context, timers: ours.timers }).toEqual(untouched);
      }
      // A tagged state that was active before may be left in the second microstep without having been entered.
      if (!before) expect(outcome.violation).toBe(oracle.violated);
    }
    agree();
    compared++;
  }
  return compared;
};
