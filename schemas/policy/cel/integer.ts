/** CEL's int64 over numbers: exact within ±(2^53 − 1), by bigint beyond, `undefined` where int64 overflows. */
export type Int = number | bigint;

const MAX = Number.MAX_SAFE_INTEGER;
const INT_MAX = (1n << 63n) - 1n;
const INT_MIN = -(1n << 63n);

/** The one form of an integer: a number wherever a number is exact. */
export const normal = (value: bigint): Int => (value >= -MAX && value <= MAX ? Number(value) : value);

/** Within int64, in its one form. */
export const int64 = (value: bigint): Int | undefined =>
  value >= INT_MIN && value <= INT_MAX ? normal(value) : undefined;

const small = (value: Int): value is number => typeof value === 'number';
const exact = (value: number): boolean => value <= MAX && value >= -MAX;

export const add = (a: Int, b: Int): Int | undefined => {
  if (small(a) && small(b)) {
    const sum = a + b;
    if (exact(sum)) return sum;
  }
  return int64(BigInt(a) + BigInt(b));
};

export const subtract = (a: Int, b: Int): Int | undefined => {
  if (small(a) && small(b)) {
    const difference = a - b;
    if (exact(difference)) return difference;
  }
  return int64(BigInt(a) - BigInt(b));
};

export const multiply = (a: Int, b: Int): Int | undefined => {
  if (small(a) && small(b)) {
    const product = a * b;
    // Adding 0 turns −0, which an int has not, into 0.
    if (exact(product)) return product + 0;
  }
  return int64(BigInt(a) * BigInt(b));
};

/** Towards zero. */
export const divide = (a: Int, b: Int): Int | undefined => {
  if (b === 0) return undefined;
  // Without its remainder a divides exactly, so that no rounding can carry the quotient over.
  if (small(a) && small(b)) return (a - (a % b)) / b + 0;
  return int64(BigInt(a) / BigInt(b));
};

/** With the sign of the dividend. */
export const remainder = (a: Int, b: Int): Int | undefined => {
  if (b === 0) return undefined;
  if (small(a) && small(b)) return (a % b) + 0;
  return int64(BigInt(a) % BigInt(b));
};

export const negate = (a: Int): Int | undefined => (small(a) ? 0 - a : int64(-a));
