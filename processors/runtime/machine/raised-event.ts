import type { Environment, Expression } from '../../../schemas/policy/expression.js';
import type { Known, Value } from '../../../schemas/policy/value.js';

const NO_ARGUMENTS: readonly undefined[] = [];

const underEvent = <V extends Known>(env: Environment<V>, name: string): Environment<V> => ({
  args: NO_ARGUMENTS,
  context: env.context,
  event: { ...env.event, function: name },
  slice: env.slice,
});

/**
 * An expression as it stands in a microstep that another event of the machine's own making drives: a raised event
 * carries no parameters, and its name is the event's. Time, thread and callers stay those of the event that began it.
 */
export const inRaisedEvent = (expression: Expression, name: string): Expression => ({
  ...expression,
  evaluate: (env: Environment<Value>) => expression.evaluate(underEvent(env, name)),
  abstract: (env: Environment<Known>) => expression.abstract(underEvent(env, name)),
});
