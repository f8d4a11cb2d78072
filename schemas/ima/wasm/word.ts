import { type Code, get, i32Const, i64Const, simd, type ValueType } from './encode.js';

/** Arithmetic on the words of a hash: one of 32 or 64 bits, or four of 32 bits side by side. */
export interface Word {
  readonly type: ValueType;
  readonly bits: 32 | 64;
  add(...terms: readonly Code[]): Code;
  xor(...terms: readonly Code[]): Code;
  and(a: Code, b: Code): Code;
  or(a: Code, b: Code): Code;
  /** Bits of `a` where `mask` has ones, of `b` elsewhere. */
  choose(mask: number, a: number, b: number): Code;
  /** Of a local, to the right. */
  rotate(local: number, by: number): Code;
  shift(local: number, by: number): Code;
  /** The same in every lane. */
  constant(value: bigint): Code;
}

const folded =
  (op: Code) =>
  (...terms: readonly Code[]): Code =>
    terms.map((term, i) => (i === 0 ? term : [term, op]));

const scalar = (
  type: 'i32' | 'i64',
  bits: 32 | 64,
  ops: Readonly<Record<'add' | 'xor' | 'and' | 'or' | 'rotr' | 'shr', number>>,
): Word => {
  const constant = (value: bigint): Code =>
    type === 'i32' ? i32Const(Number(BigInt.asIntN(32, value))) : i64Const(value);
  const xor = folded([ops.xor]);
  const and = folded([ops.and]);
  return {
    type,
    bits,
    add: folded([ops.add]),
    xor,
    and,
    or: folded([ops.or]),
    choose: (mask, a, b) => xor(and(xor(get(a), get(b)), get(mask)), get(b)),
    rotate: (local, by) => [get(local), constant(BigInt(by)), ops.rotr],
    shift: (local, by) => [get(local), constant(BigInt(by)), ops.shr],
    constant,
  };
};

export const I32: Word = scalar('i32', 32, { add: 0x6a, xor: 0x73, and: 0x71, or: 0x72, rotr: 0x78, shr: 0x76 });
export const I64: Word = scalar('i64', 64, { add: 0x7c, xor: 0x85, and: 0x83, or: 0x84, rotr: 0x8a, shr: 0x88 });

const v128 = { bitselect: simd(0x52), xor: simd(0x51), or: simd(0x50), and: simd(0x4e) };
const i32x4 = { shl: simd(0xab), shr: simd(0xad), add: simd(0xae), splat: simd(0x11) };

/** Four lanes of 32 bits. There is no rotation: two shifts. */
export const I32X4: Word = {
  type: 'v128',
  bits: 32,
  add: folded(i32x4.add),
  xor: folded(v128.xor),
  and: folded(v128.and),
  or: folded(v128.or),
  choose: (mask, a, b) => folded(v128.xor)(folded(v128.and)(folded(v128.xor)(get(a), get(b)), get(mask)), get(b)),
  rotate: (local, by) => [[get(local), i32Const(by), i32x4.shr], [get(local), i32Const(32 - by), i32x4.shl], v128.or],
  shift: (local, by) => [get(local), i32Const(by), i32x4.shr],
  constant: (value) => [i32Const(Number(BigInt.asIntN(32, value))), i32x4.splat],
};
