import type { Parameter, ValueKind, ValueType } from './records.js';

/** Beyond ±2^52 a zigzag varint leaves the exact doubles: larger integers travel as decimal text. */
const EXACT = 2 ** 52;

/** A parameter that is an integer of up to 64 bits, of whatever type. */
export const integerParameter = (
  name: string,
  value: number | bigint,
  kind: ValueKind,
  type: ValueType = 'int',
): Parameter => {
  const small =
    typeof value === 'number'
      ? Number.isSafeInteger(value) && Math.abs(value) < EXACT
      : value < BigInt(EXACT) && value > -BigInt(EXACT);
  return { name, type, kind, int: small ? Number(value) : null, real: null, text: small ? null : String(value) };
};
