import { isAttestreamError } from '../../../schemas/errors.js';
import { Cursor } from '../elf/byte-source.js';
import { convert, type NumberType, numberTypeAt } from './base-values.js';
import { arithmetic, compare } from './expression-arithmetic.js';
import type { FrameView, MemoryReader } from './frame-view.js';
import { exactSleb, exactUleb } from './leb128.js';
import { OP } from './operations.js';
import { type Simple, simpleOf } from './simple-expression.js';
import type { Unit } from './unit.js';

const MAX_STEPS = 2000;
const MAX_STACK = 256;
const MAX_PIECES = 64;
const MASK = (1n << 64n) - 1n;

/** Where an expression puts an object, or what it is. */
export type Placed =
  /** `bits`: the address as it was computed; where an expression tells a value, that is it. */
  | { readonly kind: 'memory'; readonly address: number; readonly bits: bigint }
  | { readonly kind: 'register'; readonly register: number }
  /** `bits` in the low bytes. */
  | { readonly kind: 'value'; readonly bits: bigint; readonly type: NumberType | null }
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  /** A pointer to an object that is nowhere in memory: `target` is the section offset of the object's entry. */
  | { readonly kind: 'implicit-pointer'; readonly target: number; readonly offset: number }
  | { readonly kind: 'pieces'; readonly pieces: readonly Piece[] }
  | { readonly kind: 'none'; readonly why: string };

export interface Piece {
  readonly placed: Placed;
  readonly bits: number;
  /** First bit within what `placed` holds. */
  readonly from: number;
}

/** What an expression may ask for. Reasons are texts, values are bigints. */
export interface Evaluation {
  /** The unit that the expression stands in. */
  readonly unit: Unit;
  readonly frame: FrameView | null;
  readonly memory: MemoryReader;
  /** Run-time minus link-time address of the unit's code and data. */
  readonly bias: number;
  /** Calls that entry values have gone back so far. */
  readonly depth: number;
  frameBase(): bigint | string;
  /** Value that a register, or the memory that one points at, had when the frame's function was entered. */
  entryValue(expression: Buffer): bigint | string;
  /** Value that was passed for the parameter at a unit offset, which the function itself no longer keeps. */
  passedValue(parameter: number): bigint | string;
}

/** `regval_type`: a register and what it holds, as an expression of the register alone and the unit offset of the type. */
const typedRegister = (expression: Buffer): { readonly register: Buffer; readonly type: number } | null => {
  if (expression[0] !== OP.regvalType && expression[0] !== OP.gnuRegvalType) return null;
  const code = new Cursor(expression, 1, expression.length, 'DWARF_INVALID');
  const register = code.uleb();
  return register > 31 ? null : { register: Buffer.from([OP.reg0 + register]), type: code.uleb() };
};

const none = (why: string): Placed => ({ kind: 'none', why });

interface Operand {
  readonly bits: bigint;
  readonly type: NumberType | null;
}

/** No error: an unknown register is usual, and an error's trace of calls would cost more than the expression. */
class Stopped {
  constructor(readonly why: string) {}
}

const stop = (why: string): never => {
  throw new Stopped(why);
};

/** Runs a location description (DWARF 5, 2.5 and 2.6). Never throws for what the expression does; `initial` begins the stack. */
export const evaluate = (expression: Buffer, evaluation: Evaluation, initial: bigint | null = null): Placed => {
  const simple = initial === null ? simpleOf(expression) : null;
  if (simple !== null) return evaluateSimple(simple, evaluation);
  try {
    return run(expression, evaluation, initial);
  } catch (error) {
    if (error instanceof Stopped) return none(error.why);
    // Damaged expressions stop the reader with an error of its own.
    if (isAttestreamError(error)) return none(error.message);
    throw error;
  }
};

const evaluateSimple = (simple: Simple, evaluation: Evaluation): Placed => {
  const { frame } = evaluation;
  switch (simple.kind) {
    case 'constant':
      return simple.placed;
    case 'fbreg': {
      const base = evaluation.frameBase();
      return typeof base === 'string' ? none(base) : sum(base, simple.offset, false);
    }
    case 'breg': {
      const value = frame?.register(simple.register) ?? null;
      return value === null
        ? none(`register ${simple.register} is not known in this frame`)
        : sum(value, simple.offset, simple.value);
    }
    case 'entry': {
      const value = evaluation.entryValue(simple.expression);
      return typeof value === 'string' ? none(value) : sum(value, 0n, simple.value);
    }
  }
};

const sum = (base: bigint, offset: bigint, value: boolean): Placed => {
  const bits = offset === 0n ? base : (base + offset) & MASK;
  return value ? { kind: 'value', bits, type: null } : { kind: 'memory', address: Number(bits), bits };
};

const run = (expression: Buffer, evaluation: Evaluation, initial: bigint | null): Placed => {
  const { unit, frame, memory } = evaluation;
  const code = new Cursor(expression, 0, expression.length, 'DWARF_INVALID');
  const stack: Operand[] = initial === null ? [] : [{ bits: initial, type: null }];
  const pieces: Piece[] = [];
  /** A description that is complete, up to the next piece. */
  let found: Placed | null = null;

  const push = (bits: bigint, type: NumberType | null = null): void => {
    if (stack.length >= MAX_STACK) stop('an expression that needs too much room');
    stack.push({ bits: type === null ? bits & MASK : bits, type });
  };
  const pop = (): Operand => stack.pop() ?? stop('an expression that takes more than it has');
  const register = (number: number): bigint => {
    if (frame === null) return stop('there is no frame');
    return frame.register(number) ?? stop(`register ${number} is not known in this frame`);
  };
  const read = (address: bigint, size: number): bigint => {
    if (size < 1 || size > 8) return stop('memory of an unusual size');
    const bytes = memory(Number(address), size);
    if (bytes.length < size) return stop(`memory at 0x${address.toString(16)} cannot be read`);
    return size === 8 ? bytes.readBigUInt64LE(0) : BigInt(size <= 6 ? bytes.readUIntLE(0, size) : 0);
  };
  const given = (value: bigint | string): bigint => (typeof value === 'string' ? stop(value) : value);
  const numberType = (offset: number): NumberType | null =>
    offset === 0 ? null : (numberTypeAt(unit, offset) ?? stop('a type that numbers cannot have'));
  const indexed = (index: number): bigint => {
    const address = unit.indexedAddress(index);
    return address < 0 ? stop('an address outside of its table') : BigInt(address);
  };
  const take = (length: number): Buffer => {
    const at = code.at;
    code.skip(length);
    return expression.subarray(at, at + length);
  };
  const result = (): Placed => {
    if (found !== null) return found;
    const top = stack.at(-1);
    return top === undefined ? none('optimised away') : { kind: 'memory', address: Number(top.bits), bits: top.bits };
  };
  const piece = (bits: number, from: number): void => {
    if (pieces.length >= MAX_PIECES) stop('an object in too many pieces');
    const placed = found === null && stack.length === 0 ? none('optimised away') : result();
    pieces.push({ placed, bits, from });
    found = null;
    stack.length = 0;
  };

  for (let steps = 0; !code.done; steps++) {
    if (steps > MAX_STEPS) return none('an expression without end');
    const op = code.u8();
    if (op >= OP.lit0 && op <= OP.lit31) push(BigInt(op - OP.lit0));
    else if (op >= OP.reg0 && op <= OP.reg31) found = { kind: 'register', register: op - OP.reg0 };
    else if (op >= OP.breg0 && op <= OP.breg31) push(register(op - OP.breg0) + BigInt(exactSleb(code)));
    else
      switch (op) {
        case OP.addr:
          push(BigInt(code.u64() + evaluation.bias));
          break;
        case OP.addrx:
        case OP.gnuAddrIndex:
          push(indexed(code.uleb()) + BigInt(evaluation.bias));
          break;
        case OP.constx:
        case OP.gnuConstIndex:
          push(indexed(code.uleb()));
          break;
        case OP.const1u:
          push(BigInt(code.u8()));
          break;
        case OP.const1s:
          push(BigInt(code.i8()));
          break;
        case OP.const2u:
          push(BigInt(code.u16()));
          break;
        case OP.const2s:
          push(BigInt((code.u16() << 16) >> 16));
          break;
        case OP.const4u:
          push(BigInt(code.u32()));
          break;
        case OP.const4s:
          push(BigInt(code.i32()));
          break;
        case OP.const8u:
        case OP.const8s:
          push(take(8).readBigUInt64LE(0));
          break;
        case OP.constu:
          push(BigInt(exactUleb(code)));
          break;
        case OP.consts:
          push(BigInt(exactSleb(code)));
          break;
        case OP.dup: {
          const top = pop();
          stack.push(top, top);
          break;
        }
        case OP.drop:
          pop();
          break;
        case OP.over:
        case OP.pick: {
          const index = op === OP.over ? 1 : code.u8();
          const picked = stack[stack.length - 1 - index] ?? stop('an expression that takes more than it has');
          push(picked.bits, picked.type);
          break;
        }
        case OP.swap: {
          const [first, second] = [pop(), pop()];
          stack.push(first, second);
          break;
        }
        case OP.rot: {
          const [first, second, third] = [pop(), pop(), pop()];
          stack.push(first, third, second);
          break;
        }
        case OP.deref:
          push(read(pop().bits, 8));
          break;
        case OP.derefSize:
          push(read(pop().bits, code.u8()));
          break;
        case OP.derefType:
        case OP.gnuDerefType: {
          const size = code.u8();
          const type = numberType(code.uleb());
          push(read(pop().bits, size), type);
          break;
        }
        case OP.constType:
        case OP.gnuConstType: {
          const type = numberType(code.uleb());
          const bytes = take(code.u8());
          if (bytes.length > 8) return none('a constant of an unusual size');
          push(BigInt(`0x${Buffer.from(bytes).reverse().toString('hex') || '0'}`), type);
          break;
        }
        case OP.regvalType:
        case OP.gnuRegvalType: {
          const number = code.uleb();
          const type = numberType(code.uleb());
          push(BigInt.asUintN((type?.size ?? 8) * 8, register(number)), type);
          break;
        }
        case OP.convert:
        case OP.gnuConvert: {
          const type = numberType(code.uleb());
          const from = pop();
          push(convert(from.bits, from.type, type) ?? stop('a number that cannot be converted'), type);
          break;
        }
        case OP.reinterpret:
        case OP.gnuReinterpret: {
          const type = numberType(code.uleb());
          push(pop().bits, type);
          break;
        }
        case OP.plusUconst: {
          const top = pop();
          push(top.bits + BigInt(exactUleb(code)), top.type);
          break;
        }
        case OP.abs:
        case OP.neg:
        case OP.not:
        case OP.and:
        case OP.div:
        case OP.minus:
        case OP.mod:
        case OP.mul:
        case OP.or:
        case OP.plus:
        case OP.shl:
        case OP.shr:
        case OP.shra:
        case OP.xor: {
          const right = pop();
          const unary = op === OP.abs || op === OP.neg || op === OP.not;
          const left = unary ? right : pop();
          push(arithmetic(op, left.bits, right.bits, left.type) ?? stop('arithmetic that is not defined'), left.type);
          break;
        }
        case OP.eq:
        case OP.ge:
        case OP.gt:
        case OP.le:
        case OP.lt:
        case OP.ne: {
          const right = pop();
          const left = pop();
          push(compare(op, left.bits, right.bits, left.type) ? 1n : 0n);
          break;
        }
        case OP.skip:
        case OP.bra: {
          const by = (code.u16() << 16) >> 16;
          if (op === OP.skip || pop().bits !== 0n) {
            const target = code.at + by;
            if (!(target >= 0 && target <= expression.length)) return none('a jump out of its expression');
            code.at = target;
          }
          break;
        }
        case OP.regx:
          found = { kind: 'register', register: code.uleb() };
          break;
        case OP.bregx: {
          const number = code.uleb();
          push(register(number) + BigInt(exactSleb(code)));
          break;
        }
        case OP.fbreg:
          push(given(evaluation.frameBase()) + BigInt(exactSleb(code)));
          break;
        case OP.callFrameCfa:
          push(frame?.cfa == null ? stop('the frame address is not certain') : BigInt(frame.cfa));
          break;
        case OP.entryValue:
        case OP.gnuEntryValue:
          {
            const inner = take(code.uleb());
            const typed = typedRegister(inner);
            if (typed === null) push(given(evaluation.entryValue(inner)));
            else push(given(evaluation.entryValue(typed.register)), numberType(typed.type));
          }
          break;
        case OP.gnuParameterRef:
          push(given(evaluation.passedValue(code.u32())));
          break;
        case OP.nop:
        case OP.gnuUninit:
          break;
        case OP.piece:
          piece(code.uleb() * 8, 0);
          break;
        case OP.bitPiece: {
          const bits = code.uleb();
          piece(bits, code.uleb());
          break;
        }
        case OP.implicitValue:
          found = { kind: 'bytes', bytes: take(code.uleb()) };
          break;
        case OP.stackValue: {
          const top = pop();
          found = { kind: 'value', bits: top.bits, type: top.type };
          break;
        }
        case OP.implicitPointer:
        case OP.gnuImplicitPointer:
          found = {
            kind: 'implicit-pointer',
            target: unit.header.offsetSize === 8 ? code.u64() : code.u32(),
            offset: code.sleb(),
          };
          break;
        case OP.formTlsAddress:
        case OP.gnuPushTlsAddress:
          return none('in storage of one thread');
        case OP.pushObjectAddress:
          return none('its place depends on the object');
        default:
          return none(`operation 0x${op.toString(16)} is not known`);
      }
  }
  if (pieces.length > 0) return { kind: 'pieces', pieces };
  return result();
};
