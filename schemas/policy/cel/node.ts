import type { Environment } from '../expression.js';
import { type Known, UNKNOWN, type Value } from '../value.js';
import type { CelType } from './scope.js';

export type Run = (env: Environment<Value>) => Value | undefined;
export type Know = (env: Environment<Known>) => Known | undefined;

/** A compiled part of an expression in both forms. */
export interface Node {
  readonly type: CelType;
  readonly run: Run;
  readonly know: Know;
  /** Set for a literal. */
  readonly constant?: Value;
  /** Set for a plain read of a parameter or variable. */
  readonly read?: { readonly from: 'args' | 'context'; readonly index: number };
}

export const constant = (value: Value, type: CelType): Node => ({
  type,
  run: () => value,
  know: () => value,
  constant: value,
});

/** An operation that needs its operand: an error stays an error, what is unknown stays unknown. */
export const strict1 = (type: CelType, of: Node, operation: (a: Value) => Value | undefined): Node => {
  const { run, know } = of;
  return {
    type,
    run: (env) => {
      const a = run(env);
      return a === undefined ? undefined : operation(a);
    },
    know: (env) => {
      const a = know(env);
      return a === undefined || a === UNKNOWN ? a : operation(a);
    },
  };
};

/** An operation that needs both operands. */
export const strict2 = (
  type: CelType,
  left: Node,
  right: Node,
  operation: (a: Value, b: Value) => Value | undefined,
): Node => ({
  type,
  run: runBoth(left, right, operation),
  know: (env) => {
    const a = left.know(env);
    const b = right.know(env);
    if (a === undefined || b === undefined) return undefined;
    return a === UNKNOWN || b === UNKNOWN ? UNKNOWN : operation(a, b);
  },
});

const runBoth = (left: Node, right: Node, operation: (a: Value, b: Value) => Value | undefined): Run => {
  const { run } = left;
  const other = right.run;
  if (right.constant !== undefined) {
    const b = right.constant;
    return (env) => {
      const a = run(env);
      return a === undefined ? undefined : operation(a, b);
    };
  }
  return (env) => {
    const a = run(env);
    if (a === undefined) return undefined;
    const b = other(env);
    return b === undefined ? undefined : operation(a, b);
  };
};
