import type { Environment } from '../expression.js';
import { type Known, UNKNOWN, type Value } from '../value.js';
import type { Node, Run } from './node.js';
import { isOf } from './operators.js';
import type { CelType } from './scope.js';

const typedRun = (index: number, type: CelType, from: 'args' | 'context'): Run => {
  // One closure per common type: the check for presence and type is one `typeof`.
  if (type === 'int')
    return (env) => {
      const value = env[from][index];
      return typeof value === 'number' || typeof value === 'bigint' ? value : undefined;
    };
  if (type === 'dyn' || type === 'hash') return (env) => env[from][index];
  return (env) => {
    const value = env[from][index];
    return value !== undefined && isOf(value, type) ? value : undefined;
  };
};

/** `args.name` or `context.name`. Missing, or of another type than declared: an error. */
export const read = (from: 'args' | 'context', index: number, type: CelType): Node => ({
  type,
  read: { from, index },
  run: typedRun(index, type, from),
  know: (env) => {
    const value = env[from][index];
    return value === undefined || value === UNKNOWN || isOf(value, type) ? value : undefined;
  },
});

/** `has(args.name)` */
export const present = (index: number): Node => ({
  type: 'bool',
  run: (env) => env.args[index] !== undefined,
  know: (env) => env.args[index] !== undefined,
});

/** A part of the event, or the key of the slice. */
export const part = (
  type: CelType,
  run: (env: Environment<Value>) => Value,
  know: (env: Environment<Known>) => Known,
): Node => ({ type, run, know });

export const EVENT_PARTS: Readonly<Record<string, Node>> = {
  function: part(
    'string',
    (env) => env.event.function,
    (env) => env.event.function,
  ),
  at: part(
    'int',
    (env) => env.event.at,
    (env) => env.event.at,
  ),
  notBefore: part(
    'int',
    (env) => env.event.notBefore,
    (env) => env.event.notBefore,
  ),
  thread: part(
    'int',
    (env) => env.event.thread,
    (env) => env.event.thread,
  ),
};

export const SLICE = part(
  'dyn',
  (env) => env.slice,
  (env) => env.slice,
);
