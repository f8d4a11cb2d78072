import type { Known, Value } from './value.js';

/** What an expression may see. Arrays follow `Policy.parameterNames` and `Policy.variables`; reused between calls, never kept. */
export interface Environment<V> {
  /** `undefined`: the call has no such parameter (reading it is an error, hence false in a guard). */
  readonly args: readonly (V | undefined)[];
  readonly context: readonly V[];
  readonly event: {
    readonly function: string;
    readonly at: number;
    readonly notBefore: number;
    readonly thread: number;
    readonly callers: readonly string[];
  };
  /** Key of the slice, null outside of one. */
  readonly slice: Value;
}

/** A CEL expression, checked at load and compiled into two forms. */
export interface Expression {
  readonly source: string;
  readonly type: string;
  /** The value, or `undefined` for a CEL error (no such key, overflow, division by zero): false in a guard, no change in an assign. */
  evaluate(env: Environment<Value>): Value | undefined;
  /** Contains `evaluate`'s result for every concrete environment within `env`. */
  abstract(env: Environment<Known>): Known | undefined;
}
