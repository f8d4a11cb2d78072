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
import { type Known, UNKNOWN } from '../../schemas/policy/value.js';
import { callOf, compareWithXState } from '../support/compare-with-xstate.js';
import { machineDriver } from '../support/machine-driver.js';
import { intVariable, machinePolicy } from '../support/machine-policy.js';
import { EVENTS, randomMachine, randomMoves } from '../support/random-machine.js';

const RUNS = 250;
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
      for (const moves of runs) steps += compareWithXState(policy, machine, moves);
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
