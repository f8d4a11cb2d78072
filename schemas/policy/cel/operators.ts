import { Opaque, Real, type Value } from '../value.js';
import { add, divide, multiply, negate, remainder, subtract } from './integer.js';

/** Longer strings are an error: an assignment of a variable to itself twice would otherwise double it with each event. */
export const MAX_STRING = 1 << 16;

const isInt = (value: Value): value is number | bigint => typeof value === 'number' || typeof value === 'bigint';

/** Exact between a bigint and a double; false for NaN. */
const sameSize = (int: number | bigint, real: number): boolean => int <= real && int >= real;

/** CEL's equality: false between kinds that cannot be equal, true between an int and a double of one size. */
export const equals = (a: Value, b: Value): boolean => {
  if (a instanceof Real) return b instanceof Real ? a.value === b.value : isInt(b) && sameSize(b, a.value);
  if (b instanceof Real) return isInt(a) && sameSize(a, b.value);
  if (a instanceof Opaque) return b instanceof Opaque && a.hash === b.hash;
  return a === b;
};

export type Comparison = '<' | '<=' | '>' | '>=';

/** JS compares numbers with bigints exactly, strings by their units, false before true: only kinds have to be kept apart. */
const comparable = (a: Value, b: Value): boolean => {
  if (isInt(a) || a instanceof Real) return isInt(b) || b instanceof Real;
  return (typeof a === 'string' || typeof a === 'boolean') && typeof a === typeof b;
};

const plain = (value: Value): number | bigint | string | boolean =>
  value instanceof Real ? value.value : (value as number | bigint | string | boolean);

export const compare: Readonly<Record<Comparison, (a: Value, b: Value) => boolean | undefined>> = {
  '<': (a, b) => (comparable(a, b) ? plain(a) < plain(b) : undefined),
  '<=': (a, b) => (comparable(a, b) ? plain(a) <= plain(b) : undefined),
  '>': (a, b) => (comparable(a, b) ? plain(a) > plain(b) : undefined),
  '>=': (a, b) => (comparable(a, b) ? plain(a) >= plain(b) : undefined),
};

export type Arithmetic = '+' | '-' | '*' | '/' | '%';

const both =
  (
    ints: (a: number | bigint, b: number | bigint) => number | bigint | undefined,
    reals?: (a: number, b: number) => number,
    strings?: (a: string, b: string) => string | undefined,
  ) =>
  (a: Value, b: Value): Value | undefined => {
    if (isInt(a)) return isInt(b) ? ints(a, b) : undefined;
    if (a instanceof Real)
      return reals !== undefined && b instanceof Real ? new Real(reals(a.value, b.value)) : undefined;
    if (strings !== undefined && typeof a === 'string' && typeof b === 'string') return strings(a, b);
    return undefined;
  };

export const arithmetic: Readonly<Record<Arithmetic, (a: Value, b: Value) => Value | undefined>> = {
  '+': both(
    add,
    (a, b) => a + b,
    (a, b) => (a.length + b.length > MAX_STRING ? undefined : a + b),
  ),
  '-': both(subtract, (a, b) => a - b),
  '*': both(multiply, (a, b) => a * b),
  '/': both(divide, (a, b) => a / b),
  '%': both(remainder),
};

export const minus = (a: Value): Value | undefined =>
  isInt(a) ? negate(a) : a instanceof Real ? new Real(-a.value) : undefined;

export const not = (a: Value): Value | undefined => (typeof a === 'boolean' ? !a : undefined);

/** Whether a value found at run time is of a static type. */
export const isOf = (value: Value, type: string): boolean => {
  switch (type) {
    case 'int':
      return isInt(value);
    case 'double':
      return value instanceof Real;
    case 'bool':
      return typeof value === 'boolean';
    case 'string':
      return typeof value === 'string';
    case 'null':
      return value === null;
    default:
      return true;
  }
};
