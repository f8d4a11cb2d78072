import type { Environment, Expression } from '../../../schemas/policy/expression.js';
import { type Known, UNKNOWN, type Value } from '../../../schemas/policy/value.js';
import type { Assignments, Outcome, Step } from './machine.js';

/** An environment whose context the step may change. */
export interface Running<V> extends Environment<V> {
  readonly context: V[];
}

/** Expressions that ended in a CEL error (a guard then is false, a variable keeps its value); counted up by every run. */
export interface Errors {
  count: number;
}

/** Right-hand sides of one action, all taken before the first is stored. Never held across calls. */
const scratch: (Value | undefined)[] = [];

/** Walks a step over concrete values and changes `env.context` in place. Allocates nothing. */
export const runStep = (step: Step, env: Running<Value>, errors: Errors): Outcome => {
  let at = step;
  while (at.is !== 'outcome') {
    if (at.is === 'choice') {
      const answer = at.guard.evaluate(env);
      if (answer === undefined) errors.count++;
      at = answer === true ? at.yes : at.no;
    } else {
      assign(at.assigns, env, errors);
      at = at.next;
    }
  }
  return at;
};

const assign = (assigns: Assignments['assigns'], env: Running<Value>, errors: Errors): void => {
  const { context } = env;
  if (assigns.length === 1) {
    const { variable, value } = assigns[0]!;
    const result = value.evaluate(env);
    if (result === undefined) errors.count++;
    else context[variable] = result;
    return;
  }
  for (let i = 0; i < assigns.length; i++) scratch[i] = assigns[i]!.value.evaluate(env);
  for (let i = 0; i < assigns.length; i++) {
    const result = scratch[i];
    if (result === undefined) errors.count++;
    else context[assigns[i]!.variable] = result;
  }
};

/** Receives one possible end of a step. `context` is the receiver's to keep; `errors` counts expressions certain to fail. */
export type Emit = (outcome: Outcome, context: Known[], errors: number) => void;

/** What a guard may answer. An error is false; whatever is neither constant is both. */
export const answers = (guard: Expression, env: Environment<Known>): boolean | typeof UNKNOWN | undefined => {
  const answer = guard.abstract(env);
  return answer === undefined || answer === UNKNOWN ? answer : answer === true;
};

/**
 * Walks every branch that the guards leave possible, yes before no, each with its own copy of the context.
 * Contains the end of `runStep` for every concrete environment within `env`. `env.context` is not changed.
 */
export const possibleSteps = (step: Step, env: Environment<Known>, emit: Emit): void => {
  walk(step, env, [...env.context], 0, emit);
};

const walk = (step: Step, env: Environment<Known>, context: Known[], before: number, emit: Emit): void => {
  const here: Environment<Known> = { args: env.args, context, event: env.event, slice: env.slice };
  let errors = before;
  let at = step;
  while (at.is !== 'outcome') {
    if (at.is === 'choice') {
      const answer = answers(at.guard, here);
      if (answer === UNKNOWN) walk(at.yes, here, [...context], errors, emit);
      if (answer === undefined) errors++;
      at = answer === true ? at.yes : at.no;
    } else {
      const results = at.assigns.map(({ value }) => value.abstract(here));
      for (let i = 0; i < results.length; i++) {
        const result = results[i];
        if (result === undefined) errors++;
        else context[at.assigns[i]!.variable] = result;
      }
      at = at.next;
    }
  }
  emit(at, context, errors);
};
