import { AT, ENCODING, TAG } from './constants.js';
import { type Die, numberOf, type Unit } from './unit.js';

/** Type of a number on the expression stack; null is the generic type: an address-sized integer. */
export interface NumberType {
  readonly encoding: number;
  /** Bytes. */
  readonly size: number;
}

export const isFloat = (type: NumberType | null): boolean => type?.encoding === ENCODING.float;

const SIGNED: ReadonlySet<number> = new Set([ENCODING.signed, ENCODING.signedChar]);

export const isSigned = (type: NumberType | null): boolean => type !== null && SIGNED.has(type.encoding);

/** The base type at an offset within a unit; null where there is none that numbers can have. */
export const numberTypeAt = (unit: Unit, offset: number): NumberType | null => {
  const at = unit.header.start + offset;
  if (!(offset >= unit.header.size && at < unit.header.end)) return null;
  const die: Die = unit.die(at);
  if (die.tag !== TAG.baseType) return null;
  const size = Number(numberOf(die, AT.byteSize) ?? 0);
  const encoding = Number(numberOf(die, AT.encoding) ?? 0);
  if (size < 1 || size > 16 || (encoding === ENCODING.float && size !== 4 && size !== 8)) return null;
  return { encoding, size };
};

const scratch = Buffer.alloc(8);

/** The floating point number that bits stand for. */
export const toFloat = (bits: bigint, type: NumberType): number => {
  scratch.writeBigUInt64LE(BigInt.asUintN(64, bits));
  return type.size === 4 ? scratch.readFloatLE(0) : scratch.readDoubleLE(0);
};

export const fromFloat = (value: number, type: NumberType): bigint => {
  scratch.fill(0);
  if (type.size === 4) scratch.writeFloatLE(value);
  else scratch.writeDoubleLE(value);
  return scratch.readBigUInt64LE(0);
};

/** The integer that bits stand for. */
export const toInteger = (bits: bigint, type: NumberType | null): bigint => {
  const width = (type?.size ?? 8) * 8;
  return isSigned(type) ? BigInt.asIntN(width, bits) : BigInt.asUintN(width, bits);
};

/** A number of one type as one of another, by value; null where that is not defined. */
export const convert = (bits: bigint, from: NumberType | null, to: NumberType | null): bigint | null => {
  const width = (to?.size ?? 8) * 8;
  if (!isFloat(from) && !isFloat(to)) return BigInt.asUintN(width, toInteger(bits, from));
  if (isFloat(from) && isFloat(to)) return fromFloat(toFloat(bits, from!), to!);
  if (isFloat(to)) return fromFloat(Number(toInteger(bits, from)), to!);
  const value = Math.trunc(toFloat(bits, from!));
  return Number.isFinite(value) ? BigInt.asUintN(width, BigInt(value)) : null;
};
