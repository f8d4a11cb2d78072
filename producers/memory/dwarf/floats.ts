import { AT } from './constants.js';
import { type Die, stringOf } from './unit.js';

const scratch = Buffer.alloc(8);

/** A floating point number; null where a JavaScript number does not hold it exactly or the format is not known. */
export const floatOf = (bytes: Buffer, size: number, die: Die | null, machine: 'x86-64' | 'arm64'): number | null => {
  if (size === 8) return bytes.readDoubleLE(0);
  if (size === 4) return bytes.readFloatLE(0);
  const name = die === null ? '' : stringOf(die, AT.name);
  if (size === 16 && name === 'long double' && machine === 'x86-64') return extended(bytes);
  if (size === 16 && /^(long double|_Float128|__float128|f128)$/.test(name)) return quadruple(bytes);
  return null;
};

/** Sign, exponent and 53 bits of a fraction as a number, built bit by bit. */
const build = (negative: boolean, exponent: number, fraction: bigint): number | null => {
  if (exponent < -1022 || exponent > 1023) return null;
  scratch.writeBigUInt64LE((negative ? 1n << 63n : 0n) | (BigInt(exponent + 1023) << 52n) | fraction);
  return scratch.readDoubleLE(0);
};

/** x87's 80 bits: the leading one of the fraction is written out. */
const extended = (bytes: Buffer): number | null => {
  const fraction = bytes.readBigUInt64LE(0);
  const head = bytes.readUInt16LE(8);
  const negative = (head & 0x8000) !== 0;
  const exponent = head & 0x7fff;
  if (exponent === 0 && fraction === 0n) return negative ? -0 : 0;
  if (exponent === 0x7fff) {
    if (fraction === 1n << 63n) return negative ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    return Number.NaN;
  }
  if (fraction >> 63n === 0n || (fraction & 0x7ffn) !== 0n) return null;
  return build(negative, exponent - 16_383, (fraction >> 11n) & 0xf_ffff_ffff_ffffn);
};

/** IEEE's 128 bits. */
const quadruple = (bytes: Buffer): number | null => {
  const low = bytes.readBigUInt64LE(0);
  const high = bytes.readBigUInt64LE(8);
  const negative = high >> 63n === 1n;
  const exponent = Number((high >> 48n) & 0x7fffn);
  const fraction = ((high & 0xffff_ffff_ffffn) << 64n) | low;
  if (exponent === 0 && fraction === 0n) return negative ? -0 : 0;
  if (exponent === 0x7fff) {
    if (fraction !== 0n) return Number.NaN;
    return negative ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }
  if (exponent === 0 || (fraction & ((1n << 60n) - 1n)) !== 0n) return null;
  return build(negative, exponent - 16_383, fraction >> 60n);
};
