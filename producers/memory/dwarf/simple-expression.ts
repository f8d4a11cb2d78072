import { Cursor } from '../elf/byte-source.js';
import type { Placed } from './expression.js';
import { exactSleb, exactUleb } from './leb128.js';
import { OP } from './operations.js';

/** One of the few expressions that nearly all values have, taken apart once. `value`: the result is the object itself, not its address. */
export type Simple =
  | { readonly kind: 'constant'; readonly placed: Placed }
  | { readonly kind: 'fbreg'; readonly offset: bigint }
  | { readonly kind: 'breg'; readonly register: number; readonly offset: bigint; readonly value: boolean }
  | { readonly kind: 'entry'; readonly expression: Buffer; readonly value: boolean };

const known = new WeakMap<Buffer, Simple | null>();

/** Null for all other expressions. */
export const simpleOf = (expression: Buffer): Simple | null => {
  let simple = known.get(expression);
  if (simple === undefined) {
    try {
      simple = takeApart(expression);
    } catch {
      simple = null;
    }
    known.set(expression, simple);
  }
  return simple;
};

const takeApart = (expression: Buffer): Simple | null => {
  const code = new Cursor(expression, 0, expression.length, 'DWARF_INVALID');
  const op = code.u8();
  if (op >= OP.reg0 && op <= OP.reg31)
    return code.done ? { kind: 'constant', placed: { kind: 'register', register: op - OP.reg0 } } : null;
  let simple: (value: boolean) => Simple;
  if (op >= OP.breg0 && op <= OP.breg31) {
    const offset = BigInt(exactSleb(code));
    simple = (value) => ({ kind: 'breg', register: op - OP.breg0, offset, value });
  } else if (op === OP.fbreg) {
    const offset = BigInt(exactSleb(code));
    return code.done ? { kind: 'fbreg', offset } : null;
  } else if (op === OP.entryValue || op === OP.gnuEntryValue) {
    const length = code.uleb();
    const inner = expression.subarray(code.at, code.at + length);
    code.skip(length);
    // Typed and computed ones are for the evaluator.
    if (length !== 1 || inner[0]! < OP.reg0 || inner[0]! > OP.reg31) return null;
    simple = (value) => ({ kind: 'entry', expression: inner, value });
  } else {
    const bits = constant(op, code);
    if (bits === null) return null;
    simple = (value) => ({
      kind: 'constant',
      placed: value ? { kind: 'value', bits, type: null } : { kind: 'memory', address: Number(bits), bits },
    });
  }
  if (code.done) return simple(false);
  return code.u8() === OP.stackValue && code.done ? simple(true) : null;
};

const constant = (op: number, code: Cursor): bigint | null => {
  if (op >= OP.lit0 && op <= OP.lit31) return BigInt(op - OP.lit0);
  const wrapped = (value: number | bigint): bigint => BigInt.asUintN(64, BigInt(value));
  switch (op) {
    case OP.const1u:
      return BigInt(code.u8());
    case OP.const1s:
      return wrapped(code.i8());
    case OP.const2u:
      return BigInt(code.u16());
    case OP.const4u:
      return BigInt(code.u32());
    case OP.const4s:
      return wrapped(code.i32());
    case OP.constu:
      return wrapped(exactUleb(code));
    case OP.consts:
      return wrapped(exactSleb(code));
    default:
      return null;
  }
};
