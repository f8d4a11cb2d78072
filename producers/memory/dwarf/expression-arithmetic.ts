import { fromFloat, isFloat, type NumberType, toFloat, toInteger } from './base-values.js';
import { OP } from './operations.js';

/** Two operands of one type; unary operations use the right one. Null where the result is not defined. */
export const arithmetic = (op: number, left: bigint, right: bigint, type: NumberType | null): bigint | null => {
  if (isFloat(type)) return floating(op, toFloat(left, type!), toFloat(right, type!), type!);
  const width = (type?.size ?? 8) * 8;
  const result = whole(op, left, right, type, width);
  return result === null ? null : BigInt.asUintN(width, result);
};

/** Division is signed for the generic type, remainders are not (DWARF 5, 2.5.1.4). */
const whole = (op: number, left: bigint, right: bigint, type: NumberType | null, width: number): bigint | null => {
  const [a, b] = [toInteger(left, type), toInteger(right, type)];
  switch (op) {
    case OP.abs: {
      const value = BigInt.asIntN(width, right);
      return value < 0n ? -value : value;
    }
    case OP.neg:
      return -b;
    case OP.not:
      return ~b;
    case OP.and:
      return a & b;
    case OP.or:
      return a | b;
    case OP.xor:
      return a ^ b;
    case OP.plus:
      return a + b;
    case OP.minus:
      return a - b;
    case OP.mul:
      return a * b;
    case OP.div: {
      if (b === 0n) return null;
      return type === null ? BigInt.asIntN(64, left) / BigInt.asIntN(64, right) : a / b;
    }
    case OP.mod:
      return b === 0n ? null : a % b;
    case OP.shl:
      return shift(right, width) === null ? 0n : a << BigInt(shift(right, width)!);
    case OP.shr:
      return shift(right, width) === null ? 0n : BigInt.asUintN(width, left) >> BigInt(shift(right, width)!);
    case OP.shra: {
      const value = BigInt.asIntN(width, left);
      return value >> BigInt(shift(right, width) ?? width - 1);
    }
    default:
      return null;
  }
};

/** Null if everything is shifted out. */
const shift = (by: bigint, width: number): number | null => (by < BigInt(width) ? Number(by) : null);

const floating = (op: number, a: number, b: number, type: NumberType): bigint | null => {
  switch (op) {
    case OP.abs:
      return fromFloat(Math.abs(b), type);
    case OP.neg:
      return fromFloat(-b, type);
    case OP.plus:
      return fromFloat(a + b, type);
    case OP.minus:
      return fromFloat(a - b, type);
    case OP.mul:
      return fromFloat(a * b, type);
    case OP.div:
      return fromFloat(a / b, type);
    default:
      return null;
  }
};

/** Comparisons of the generic type are signed. */
export const compare = (op: number, left: bigint, right: bigint, type: NumberType | null): boolean => {
  const number = (bits: bigint): bigint | number =>
    isFloat(type) ? toFloat(bits, type!) : type === null ? BigInt.asIntN(64, bits) : toInteger(bits, type);
  const [a, b] = [number(left), number(right)];
  switch (op) {
    case OP.eq:
      return a === b;
    case OP.ne:
      return a !== b;
    case OP.lt:
      return a < b;
    case OP.le:
      return a <= b;
    case OP.gt:
      return a > b;
    default:
      return a >= b;
  }
};
