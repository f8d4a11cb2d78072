import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compileMachine } from '../../processors/runtime/machine/compile.js';
import type { Machine } from '../../processors/runtime/machine/machine.js';
import { possibleSteps } from '../../processors/runtime/machine/run.js';
import type { CompileExpression } from '../../processors/runtime/machine/state-tree.js';
import { isAttestreamError } from '../../schemas/errors.js';
import { compileExpression } from '../../schemas/policy/cel/compile.js';
import { scopeOf } from '../../schemas/policy/cel/scope.js';
import type { Expression } from '../../schemas/policy/expression.js';
import type { MachineConfig, Policy } from '../../schemas/policy/policy.js';
import type { CallEvent } from '../../schemas/policy/to-xstate.js';
import { type Known, UNKNOWN } from '../../schemas/policy/value.js';
import { machineDriver } from '../support/machine-driver.js';
import { intVariable, machinePolicy } from '../support/machine-policy.js';
import { EVENTS, type Move, randomMachine, randomMoves } from '../support/random-machine.js';
import { xstateOracle } from '../support/xstate-oracle.js';

const RUNS = 300;
const SEED = 20240117;

const policyOf = (machine: MachineConfig): Policy =>
  machinePolicy(machine, Object.fromEntries(EVENTS.map((name) => [name, { n: 'int', m: 'int' }])), [
    intVariable('x'),
    intVariable('y'),
  ]);

/** The few texts of all random machines, checked once. */
const expressions = new Map<string, Expression>();
const compile: CompileExpression = (source, expected, path) => {
  const key = `${expected} ${source}`;
  let known = expressions.get(key);
  if (known === undefined) {
    known = compileExpression(source, scopeOf(policyOf({})), expected, path);
    expressions.set(key, known);
  }
  return known;
};

/** undefined: refused, as one event of it may never end. */
const compiled = (policy: Policy): Machine | undefined => {
  try {
    return compileMachine(policy, compile);
  } catch (error) {
    if (isAttestreamError(error, 'MACHINE_UNBOUNDED') || isAttestreamError(error, 'MACHINE_TOO_LARGE'))
      return undefined;
    throw error;
  }
};

/** The parameter `m` is never given, so that reading it is an error. */
const callOf = (move: { readonly event: string; readonly n: number }): CallEvent => ({
  type: move.event,
  args: { n: move.n },
});

/** Makes every move on both sides and compares; returns how many could be compared. */
const compareRuns = (policy: Policy, machine: Machine, moves: readonly Move[]): number => {
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

test('a compiled machine goes where XState goes, with the same context and the same timers', () => {
  let refused = 0;
  let steps = 0;
  fc.assert(
    fc.property(randomMachine, fc.array(randomMoves, { minLength: 2, maxLength: 2 }), (config, runs) => {
      const policy = policyOf(config);
      const machine = compiled(policy);
      if (machine === undefined) {
        refused++;
        return;
      }
      for (const moves of runs) steps += compareRuns(policy, machine, moves);
    }),
    { numRuns: RUNS, seed: SEED },
  );
  // The comparison is worth something only if it took place.
  expect(refused).toBeLessThan(RUNS * 0.6);
  expect(steps).toBeGreaterThan(RUNS * 6);
});

test('the abstract walk contains the concrete step, whatever is unknown', () => {
  let refused = 0;
  fc.assert(
    fc.property(
      randomMachine,
      randomMoves,
      fc.tuple(fc.boolean(), fc.boolean(), fc.boolean()),
      (config, moves, blur) => {
        const policy = policyOf(config);
        const machine = compiled(policy);
        if (machine === undefined) {
          refused++;
          return;
        }
        const ours = machineDriver(machine, policy);
        for (const move of moves) {
          if (ours.last.done) return;
          if ('wait' in move) {
            ours.wait(move.wait * 1000);
            continue;
          }
          const call = callOf(move);
          const hide = <T>(value: T, index: number): T | typeof UNKNOWN => (blur[index] ? UNKNOWN : value);
          const context: Known[] = ours.context.map((value, i) => hide(value, i));
          // In the order of their names: m is never given, n may be hidden.
          const args: (Known | undefined)[] = [undefined, hide(move.n, 2)];
          const step = machine.step(ours.configuration, machine.event(call.type));
          const event = { function: call.type, at: 0, notBefore: 0, thread: 1, callers: [] };
          const ends: { outcome: unknown; context: Known[] }[] = [];
          possibleSteps(step, { args, context, event, slice: null }, (outcome, after) => {
            ends.push({ outcome, context: after });
          });
          const outcome = ours.send(call);
          const matching = ends.filter(
            (end) =>
              end.outcome === outcome &&
              end.context.every((known, i) => known === UNKNOWN || known === ours.context[i]),
          );
          expect(matching.length).toBeGreaterThan(0);
        }
      },
    ),
    { numRuns: RUNS, seed: SEED },
  );
  expect(refused).toBeLessThan(RUNS * 0.6);
});
