import type { Parameter, ValueKind } from './records.js';

/** Beyond ±2^52 a zigzag varint leaves the exact doubles: larger integers travel as decimal text. */
const EXACT = 2 ** 52;

/** A parameter that is an integer of up to 64 bits. */
export const integerParameter = (
  name: string,
  value: number | bigint,
  kind: ValueKind,
  type: 'int' | 'uint' = 'int',
): Parameter => {
  const small =
    typeof value === 'number'
      ? Number.isSafeInteger(value) && Math.abs(value) < EXACT
      : value < BigInt(EXACT) && value > -BigInt(EXACT);
  return { name, type, kind, int: small ? Number(value) : null, real: null, text: small ? null : String(value) };
};
