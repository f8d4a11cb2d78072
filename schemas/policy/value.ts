/**
 * Values of parameters and context variables as machines compute with them.
 * `number` is a CEL int within ±(2^53 − 1), `bigint` one beyond; a CEL double is always a `Real`, so that 1 and 1.0 stay apart.
 */
export type Value = number | bigint | boolean | string | Real | Opaque | null;

export class Real {
  constructor(readonly value: number) {}
}

/** A keyed hash of a parameter: only equality between values under one key is defined. */
export class Opaque {
  constructor(readonly hash: string) {}
}

/**
 * What is known of a value: one constant, or nothing but its type.
 * Ranges and small sets join this type when the abstract domain grows; every reader must treat what it does not know as unknown.
 */
export type Known = Value | typeof UNKNOWN;

/** Any value of its type. */
export const UNKNOWN: unique symbol = Symbol('unknown');

/** Three-valued truth: the possible answers of a guard. */
export type Truth = boolean | typeof UNKNOWN;

export type ScalarType = 'int' | 'uint' | 'double' | 'bool' | 'string' | 'enum' | 'hash' | 'dyn';
