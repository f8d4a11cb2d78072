import { bytesAt } from '../elf/elf.js';
import { AT, TAG } from './constants.js';
import { type Evaluation, evaluate, type Placed } from './expression.js';
import type { FrameView, MemoryReader } from './frame-view.js';
import { type CompiledFunction, functionOf } from './functions.js';
import { expressionAt, type Location, locationOf } from './location-lists.js';
import { OP } from './operations.js';
import { enteredAt, linkedName, returnOf, routeTo, type TailCall } from './tail-calls.js';
import { blockOf, chainOf, type Die, flagOf, referenceOf } from './unit.js';

const bases = new WeakMap<CompiledFunction, Location>();

const baseOf = (fn: CompiledFunction): Location => {
  let known = bases.get(fn);
  if (known === undefined) {
    known = locationOf(fn.die, AT.frameBase);
    bases.set(fn, known);
  }
  return known;
};

/** What a function's slots are counted from: nothing but the canonical frame address in most programs. */
export const frameBaseIsCfa = (fn: CompiledFunction): boolean => {
  const base = baseOf(fn);
  return base.kind === 'always' && base.expression.length === 1 && base.expression[0] === OP.callFrameCfa;
};

/** Evaluates expressions that stand in a frame's function. */
export const frameEvaluation = (
  frame: FrameView,
  fn: CompiledFunction,
  memory: MemoryReader,
  depth = 0,
): Evaluation => {
  const evaluation: Evaluation = {
    unit: fn.unit,
    frame,
    memory,
    bias: frame.bias,
    depth,
    frameBase() {
      const expression = expressionAt(baseOf(fn), frame.vaddr);
      if (expression === null) return 'the function has no frame base here';
      const placed = evaluate(expression, { ...evaluation, frameBase: () => 'a frame base that needs itself' });
      switch (placed.kind) {
        case 'memory':
          return placed.bits;
        case 'value':
          return placed.bits;
        case 'register':
          return (
            frame.register(placed.register) ?? `register ${placed.register}, the frame base, is not known in this frame`
          );
        case 'none':
          return placed.why;
        default:
          return 'the frame base is in pieces';
      }
    },
    entryValue: (expression) => passedValue(frame, fn, { kind: 'expression', expression }, memory, depth),
    passedValue(parameter) {
      const at = fn.unit.header.start + parameter;
      if (at >= fn.unit.header.end) return 'a parameter outside of its unit';
      return passedValue(frame, fn, { kind: 'parameter', die: fn.unit.die(at) }, memory, depth);
    },
  };
  return evaluation;
};

/** Calls gone back for one value. */
const MAX_DEPTH = 24;
const MAX_TOLD = 64;

/** Which parameter of a call is meant: one passed in a register, or one that the callee's debug information names. */
export type Passed =
  | { readonly kind: 'expression'; readonly expression: Buffer }
  | { readonly kind: 'parameter'; readonly die: Die };

/**
 * What the caller passed when it called a frame's function, from the description of its call (DWARF 5, 3.4). A text says why it
 * cannot be told. Every step must be certain: that this call entered this function, and that nothing replaced its arguments.
 */
export const passedValue = (
  frame: FrameView,
  fn: CompiledFunction,
  passed: Passed,
  memory: MemoryReader,
  depth: number,
): bigint | string => {
  if (depth >= MAX_DEPTH) return TOO_FAR;
  if (passed.kind === 'parameter' || passed.expression.length !== 1)
    return findPassed(frame, fn, passed, memory, depth);
  // What one frame was passed its callees often pass on: a value is followed up the stack once for all of them.
  let kept = inRegisters.get(frame);
  if (kept === undefined) {
    kept = new Map();
    inRegisters.set(frame, kept);
  }
  const register = passed.expression[0]!;
  let value = kept.get(register);
  if (value === undefined) {
    value = findPassed(frame, fn, passed, memory, depth);
    // Seen from here it is not too far.
    if (value !== TOO_FAR) kept.set(register, value);
  }
  return value;
};

const TOO_FAR = 'passed on through too many calls';

/** By frame, which lasts for one look, and operation of the register. */
const inRegisters = new WeakMap<FrameView, Map<number, bigint | string>>();

const findPassed = (
  frame: FrameView,
  fn: CompiledFunction,
  passed: Passed,
  memory: MemoryReader,
  depth: number,
): bigint | string => {
  const entered = entryOf(frame, fn, memory, depth);
  if (typeof entered === 'string') return entered;
  const { call, from, calling } = entered;
  const value = toldOf(call, passed);
  return value === null
    ? UNTOLD
    : valueOfPlaced(evaluate(value, frameEvaluation(from, calling, memory, depth + 1)), from);
};

const told = new WeakMap<Die, Map<Buffer | Die, Buffer | null>>();

/** The expression of a call for what it passed; null if it has none. */
const toldOf = (call: Die, passed: Passed): Buffer | null => {
  const key = passed.kind === 'parameter' ? passed.die : passed.expression;
  let kept = told.get(call);
  if (kept === undefined) {
    kept = new Map();
    told.set(call, kept);
  }
  let known = kept.get(key);
  if (known === undefined) {
    if (kept.size >= MAX_TOLD) kept.clear();
    known = null;
    for (const parameter of call.unit.children(call)) {
      if (parameter.tag !== TAG.callSiteParameter && parameter.tag !== TAG.gnuCallSiteParameter) continue;
      const value = expressionOf(parameter, passed);
      if (value === undefined) continue;
      known = value;
      break;
    }
    kept.set(key, known);
  }
  return known;
};

const UNTOLD = 'the caller does not tell what it passed';

/** An expression of a call tells a value, whether or not it says so. */
const valueOfPlaced = (placed: Placed, from: FrameView): bigint | string => {
  switch (placed.kind) {
    case 'value':
    case 'memory':
      return placed.bits;
    case 'register':
      return from.register(placed.register) ?? `register ${placed.register} is not known in the caller`;
    case 'none':
      return placed.why;
    default:
      return 'passed in a way that is not followed';
  }
};

/** The call that entered a function, and the frame that made it. */
interface Entry {
  readonly call: Die;
  readonly from: FrameView;
  readonly calling: CompiledFunction;
}

/** By frame, which lasts for one look; also of frames that are gone: functions that left by a tail call. */
const entries = new WeakMap<FrameView, Entry | string>();

const entryOf = (frame: FrameView, fn: CompiledFunction, memory: MemoryReader, depth: number): Entry | string => {
  let entry = entries.get(frame);
  if (entry === undefined) {
    entry = findEntry(frame, fn, memory, depth);
    entries.set(frame, entry);
  }
  return entry;
};

const findEntry = (frame: FrameView, fn: CompiledFunction, memory: MemoryReader, depth: number): Entry | string => {
  const { caller } = frame;
  if (caller === null || frame.cfa === null) return 'the caller is not certain';
  const calling = caller.module.info === null ? null : functionOf(caller.module.info, caller.vaddr);
  if (calling === null) return 'the caller has no debug information';
  const call = calling.calls.get(caller.pcVaddr);
  if (call === undefined) return UNTOLD;
  let route = routeOf(frame, fn, caller, call);
  if (route === 'by address') {
    const expression = blockOf(call, AT.callTarget) ?? blockOf(call, AT.gnuCallSiteTarget);
    if (expression === null) return UNCERTAIN;
    const target = valueOfPlaced(evaluate(expression, frameEvaluation(caller, calling, memory, depth + 1)), caller);
    if (typeof target === 'string') return UNCERTAIN;
    const vaddr = Number(target) - frame.bias;
    const called = vaddr === fn.entry ? fn : enteredAt(frame.module, vaddr);
    route = called === null ? UNCERTAIN : routeTo(frame.module, called, fn);
  }
  if (typeof route === 'string') return route;
  let entry: Entry = { call, from: caller, calling };
  for (const link of route) {
    const at = returnOf(link.call);
    const from: FrameView = {
      ...frame,
      vaddr: at - 1,
      pcVaddr: at,
      cfa: null,
      innermost: false,
      caller: null,
      // What it left by has taken its frame and its registers away.
      register: () => null,
    };
    entries.set(from, entry);
    entry = { call: link.call, from, calling: link.fn };
  }
  return entry;
};

/** The expression for a wanted value; undefined if the parameter is another one, null if it says nothing of the value. */
const expressionOf = (parameter: Die, passed: Passed): Buffer | null | undefined => {
  const value = (): Buffer | null => blockOf(parameter, AT.callValue) ?? blockOf(parameter, AT.gnuCallSiteValue);
  if (passed.kind === 'parameter') {
    const named = referenceOf(parameter, AT.callParameter) ?? referenceOf(parameter, AT.abstractOrigin);
    return named !== null && (named === passed.die || chainOf(named).includes(passed.die)) ? value() : undefined;
  }
  const location = blockOf(parameter, AT.location);
  if (location === null) return undefined;
  const { expression } = passed;
  if (location.equals(expression)) return value();
  const read = dereferenced(expression);
  // A value that a register pointed at when the function was entered.
  if (read === null || location.length !== 1 || location[0] !== OP.reg0 + read) return undefined;
  return blockOf(parameter, AT.callDataValue) ?? blockOf(parameter, AT.gnuCallSiteDataValue);
};

/** `bregN 0; deref`: the register; null for anything else. */
const dereferenced = (expression: Buffer): number | null => {
  const op = expression[0];
  if (op === undefined || op < OP.breg0 || op > OP.breg31 || expression[1] !== 0) return null;
  const rest = expression.subarray(2);
  const plain = rest.length === 1 && rest[0] === OP.deref;
  return plain || (rest.length === 2 && rest[0] === OP.derefSize) ? op - OP.breg0 : null;
};

const UNCERTAIN = 'it is not certain which function was called';

/** Functions that a call went through by tail calls before the one that is on the stack; none where it was called itself. */
type Route = readonly TailCall[];

const routes = new WeakMap<CompiledFunction, WeakMap<Die, Route | string>>();

/** How the call came to the function, as far as it is the same at every look; a text says why that is not certain. */
const routeOf = (frame: FrameView, fn: CompiledFunction, caller: FrameView, call: Die): Route | string => {
  let kept = routes.get(fn);
  if (kept === undefined) {
    kept = new WeakMap();
    routes.set(fn, kept);
  }
  let route = kept.get(call);
  if (route === undefined) {
    route = findRoute(frame, fn, caller, call);
    kept.set(call, route);
  }
  return route;
};

const findRoute = (frame: FrameView, fn: CompiledFunction, caller: FrameView, call: Die): Route | string => {
  const direct = directTarget(caller);
  if (direct === fn.entry + frame.bias) return routeTo(frame.module, fn, fn);
  const origin = referenceOf(call, AT.callOrigin) ?? referenceOf(call, AT.abstractOrigin);
  if (direct === null && origin === null) return 'by address';
  if (direct !== null && caller.module === frame.module) {
    const called = enteredAt(frame.module, direct - caller.bias);
    if (called !== null) return routeTo(frame.module, called, fn);
  }
  // A call through a stub of the linker, or through its table: then the name must do.
  return origin !== null && sameFunction(origin, fn, frame.names) ? routeTo(frame.module, fn, fn) : UNCERTAIN;
};

/** The run-time address that the call before a frame's pc goes to; null if it is not a direct call. */
const directTarget = (caller: FrameView): number | null => {
  const { elf } = caller.module;
  if (caller.machine === 'arm64') {
    const code = bytesAt(elf, caller.pcVaddr - 4, 4);
    if (code.length < 4) return null;
    const word = code.readUInt32LE(0);
    return word >>> 26 === 0x25 ? caller.pcVaddr - 4 + ((word << 6) >> 4) + caller.bias : null;
  }
  const code = bytesAt(elf, caller.pcVaddr - 5, 5);
  return code.length === 5 && code[0] === 0xe8 ? caller.pcVaddr + code.readInt32LE(1) + caller.bias : null;
};

/** The function that a call names is the one that was compiled as `fn`, whose symbols are `names`. */
const sameFunction = (origin: Die, fn: CompiledFunction, names: readonly string[]): boolean => {
  const chain = chainOf(origin);
  if (chain.some((die) => fn.chain.includes(die))) return true;
  // A declaration in another unit: only a name that the linker resolved ties it to this function.
  const name = linkedName(chain);
  const own = fn.chain.some((die) => flagOf(die, AT.external)) ? linkedName(fn.chain) : '';
  return chain.some((die) => flagOf(die, AT.external)) && name !== '' && (name === own || names.includes(name));
};
