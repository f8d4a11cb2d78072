import { Cursor } from '../elf/byte-source.js';

const MAX_STEPS = 1000;
const MAX_DEPTH = 64;
const MASK = 0xffff_ffff_ffff_ffffn;

/** What an expression may ask of the frame that it is evaluated in; null: not known. */
export interface ExpressionFrame {
  register(dwarfRegister: number): bigint | null;
  /** Little-endian value of up to eight bytes. */
  memory(address: bigint, size: number): bigint | null;
}

const signed = (value: bigint): bigint => BigInt.asIntN(64, value);

/** Operators on the two topmost entries: `b` is the top. Null: not one. */
const binary = (op: number, a: bigint, b: bigint): bigint | null => {
  switch (op) {
    case 0x1a:
      return a & b;
    case 0x1b:
      return b === 0n ? null : signed(a) / signed(b);
    case 0x1c:
      return a - b;
    case 0x1d:
      return b === 0n ? null : a % b;
    case 0x1e:
      return a * b;
    case 0x21:
      return a | b;
    case 0x22:
      return a + b;
    case 0x24:
      return b < 64n ? a << b : 0n;
    case 0x25:
      return b < 64n ? a >> b : 0n;
    case 0x26:
      return signed(a) >> (b < 64n ? b : 63n);
    case 0x27:
      return a ^ b;
    case 0x29:
      return a === b ? 1n : 0n;
    case 0x2a:
      return signed(a) >= signed(b) ? 1n : 0n;
    case 0x2b:
      return signed(a) > signed(b) ? 1n : 0n;
    case 0x2c:
      return signed(a) <= signed(b) ? 1n : 0n;
    case 0x2d:
      return signed(a) < signed(b) ? 1n : 0n;
    case 0x2e:
      return a !== b ? 1n : 0n;
    default:
      return null;
  }
};

/** Constants and registers: what pushes without taking. Undefined: not one; null: not known. */
const pushed = (op: number, code: Cursor, frame: ExpressionFrame): bigint | null | undefined => {
  if (op >= 0x30 && op <= 0x4f) return BigInt(op - 0x30);
  if (op >= 0x70 && op <= 0x8f) return plus(frame.register(op - 0x70), code.sleb());
  switch (op) {
    case 0x03:
    case 0x0e:
    case 0x0f: {
      const low = BigInt(code.u32());
      return low | (BigInt(code.u32()) << 32n);
    }
    case 0x08:
      return BigInt(code.u8());
    case 0x09:
      return BigInt(code.i8());
    case 0x0a:
      return BigInt(code.u16());
    case 0x0b:
      return BigInt((code.u16() << 16) >> 16);
    case 0x0c:
      return BigInt(code.u32());
    case 0x0d:
      return BigInt(code.i32());
    case 0x10:
      return BigInt(code.uleb());
    case 0x11:
      return BigInt(code.sleb());
    case 0x92: {
      const register = code.uleb();
      return plus(frame.register(register), code.sleb());
    }
    default:
      return undefined;
  }
};

const plus = (value: bigint | null, offset: number): bigint | null => (value === null ? null : value + BigInt(offset));

/**
 * The top of the stack after a DWARF expression of call frame information (DWARF 5 §2.5, §6.4.2); `initial` lies on it at
 * first. Null if something asked for is not known. Bounded in steps and depth; throws DWARF_INVALID for what is malformed.
 */
export const frameExpression = (expression: Buffer, initial: bigint | null, frame: ExpressionFrame): bigint | null => {
  const code = new Cursor(expression, 0, expression.length, 'DWARF_INVALID');
  const stack: bigint[] = initial === null ? [] : [initial];
  const pop = (): bigint => stack.pop() ?? code.fail('an expression takes more than there is');
  for (let steps = 0; !code.done; steps++) {
    if (steps > MAX_STEPS || stack.length > MAX_DEPTH) code.fail('an expression without end');
    const op = code.u8();
    const push = pushed(op, code, frame);
    if (push === null) return null;
    if (push !== undefined) {
      stack.push(push & MASK);
      continue;
    }
    if (op === 0x06 || op === 0x94) {
      const value = frame.memory(pop(), op === 0x06 ? 8 : Math.min(8, code.u8()));
      if (value === null) return null;
      stack.push(value);
    } else if (op === 0x12) stack.push(stack.at(-1) ?? code.fail('nothing to copy'));
    else if (op === 0x13) pop();
    else if (op === 0x14) stack.push(stack.at(-2) ?? code.fail('nothing to copy'));
    else if (op === 0x15) stack.push(stack.at(-1 - code.u8()) ?? code.fail('nothing to copy'));
    else if (op === 0x16) {
      const [b, a] = [pop(), pop()];
      stack.push(b, a);
    } else if (op === 0x17) {
      const [c, b, a] = [pop(), pop(), pop()];
      stack.push(c, a, b);
    } else if (op === 0x19) {
      const value = signed(pop());
      stack.push((value < 0n ? -value : value) & MASK);
    } else if (op === 0x1f) stack.push(-pop() & MASK);
    else if (op === 0x20) stack.push(~pop() & MASK);
    else if (op === 0x23) stack.push((pop() + BigInt(code.uleb())) & MASK);
    else if (op === 0x28 || op === 0x2f) {
      const by = (code.u16() << 16) >> 16;
      if (op === 0x2f || pop() !== 0n) {
        const to = code.at + by;
        if (to < 0 || to > code.end) code.fail('a branch out of the expression');
        code.at = to;
      }
    } else if (op !== 0x96) {
      const b = pop();
      const value = binary(op, pop(), b);
      if (value === null) return code.fail(`operation ${op} cannot be done`);
      stack.push(value & MASK);
    }
  }
  return stack.at(-1) ?? null;
};
