import type { Known, UNKNOWN, Value } from './value.js';

/** In an abstract environment any part of the event may be unknown, e.g. the instant of an unseen call; in a concrete one none. */
type OrUnknown<V> = Extract<V, typeof UNKNOWN>;

/** What an expression may see. Arrays follow `Policy.parameterNames` and `Policy.variables`; reused between calls, never kept. */
export interface Environment<V> {
  /** `undefined`: the call has no such parameter (reading it is an error, hence false in a guard). */
  readonly args: readonly (V | undefined)[];
  readonly context: readonly V[];
  readonly event: {
    readonly function: string | OrUnknown<V>;
    readonly at: number | OrUnknown<V>;
    readonly notBefore: number | OrUnknown<V>;
    readonly thread: number | OrUnknown<V>;
    readonly callers: readonly string[] | OrUnknown<V>;
  };
  /** Key of the slice, null outside of one. */
  readonly slice: Value | OrUnknown<V>;
}

/** A CEL expression, checked at load and compiled into two forms. */
export interface Expression {
  readonly source: string;
  readonly type: string;
  /** The value, or `undefined` for a CEL error (no such key, overflow, division by zero): false in a guard, no change in an assign. */
  evaluate(env: Environment<Value>): Value | undefined;
  /**
   * Contains `evaluate`'s result for every concrete environment within `env`: a constant is the sure value, `undefined` a sure
   * error, UNKNOWN any value of the expression's type or an error. An argument that is UNKNOWN is present.
   */
  abstract(env: Environment<Known>): Known | undefined;
}
