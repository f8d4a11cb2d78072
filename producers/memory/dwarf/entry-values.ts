import { bytesAt } from '../elf/elf.js';
import { AT, TAG } from './constants.js';
import { frameEvaluation } from './evaluation.js';
import { evaluate } from './expression.js';
import type { FrameView, MemoryReader } from './frame-view.js';
import { type CompiledFunction, compiledFrom, functionAt } from './functions.js';
import { OP } from './operations.js';
import { blockOf, chainOf, type Die, flagOf, holderOf, referenceOf, stringOf } from './unit.js';

/** Calls gone back for one value. */
const MAX_DEPTH = 24;
const MAX_TAIL_CALLS = 64;

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
  if (depth >= MAX_DEPTH) return 'passed on through too many calls';
  const { caller } = frame;
  if (caller === null || frame.cfa === null) return 'the caller is not certain';
  const unit = caller.module.info?.unitOf(caller.vaddr)?.full;
  const calling = unit === undefined ? null : functionAt(unit, caller.vaddr);
  if (calling === null) return 'the caller has no debug information';
  const call = calling.calls.get(caller.pcVaddr);
  if (call === undefined) return 'the caller does not tell what it passed';
  const evaluation = frameEvaluation(caller, calling, memory, depth + 1);
  const doubt = doubtOf(frame, fn, caller, call, (expression) => {
    const placed = evaluate(expression, evaluation);
    // A call's target is a value, whether or not the expression says so.
    return placed.kind === 'memory'
      ? placed.bits
      : placed.kind === 'value'
        ? placed.bits
        : placed.kind === 'register'
          ? caller.register(placed.register)
          : null;
  });
  if (doubt !== '') return doubt;
  for (const parameter of call.unit.children(call)) {
    if (parameter.tag !== TAG.callSiteParameter && parameter.tag !== TAG.gnuCallSiteParameter) continue;
    const value = expressionOf(parameter, passed);
    if (value === undefined) continue;
    if (value === null) return 'the caller does not tell what it passed';
    const placed = evaluate(value, evaluation);
    if (placed.kind === 'value') return placed.bits;
    if (placed.kind === 'memory') return placed.bits;
    if (placed.kind === 'register')
      return caller.register(placed.register) ?? `register ${placed.register} is not known in the caller`;
    return placed.kind === 'none' ? placed.why : 'passed in a way that is not followed';
  }
  return 'the caller does not tell what it passed';
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

/** Why the call may not be what entered the function with its present arguments; '' if there is no doubt. */
const doubtOf = (
  frame: FrameView,
  fn: CompiledFunction,
  caller: FrameView,
  call: Die,
  target: (expression: Buffer) => bigint | null,
): string => {
  let kept = doubts.get(fn);
  if (kept === undefined) {
    kept = new WeakMap();
    doubts.set(fn, kept);
  }
  let doubt = kept.get(call);
  if (doubt === undefined) {
    doubt = settledDoubt(frame, fn, caller, call);
    kept.set(call, doubt);
  }
  if (doubt !== null) return doubt;
  const expression = blockOf(call, AT.callTarget) ?? blockOf(call, AT.gnuCallSiteTarget);
  const address = expression === null ? null : target(expression);
  return address === null || Number(address) !== fn.entry + frame.bias ? UNCERTAIN : '';
};

const UNCERTAIN = 'it is not certain which function was called';

/** Doubts about a call and what it entered, as far as they are the same at every look. */
const doubts = new WeakMap<CompiledFunction, WeakMap<Die, string | null>>();

/** Null if it depends on the address that the call took from a register or from memory. */
const settledDoubt = (frame: FrameView, fn: CompiledFunction, caller: FrameView, call: Die): string | null => {
  if (callsItself(fn)) return 'the function may have called itself with other arguments';
  const direct = directTarget(caller);
  if (direct === fn.entry + frame.bias) return '';
  const origin = referenceOf(call, AT.callOrigin) ?? referenceOf(call, AT.abstractOrigin);
  if (direct === null && origin === null) return null;
  // A call through a stub of the linker, or through its table: then the name must do.
  if (direct !== null && caller.module === frame.module && isEntry(frame, direct - caller.bias))
    return 'reached by a tail call';
  return origin !== null && sameFunction(origin, fn) ? '' : UNCERTAIN;
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

const isEntry = (frame: FrameView, vaddr: number): boolean => {
  const unit = frame.module.info?.unitOf(vaddr)?.full;
  return unit !== undefined && functionAt(unit, vaddr)?.entry === vaddr;
};

const nameOf = (chain: readonly Die[], ...names: number[]): string => {
  for (const name of names) {
    const holder = holderOf(chain, name);
    if (holder !== null) return stringOf(holder, name);
  }
  return '';
};

/** The function that a call names is the one that was compiled as `fn`. */
const sameFunction = (origin: Die, fn: CompiledFunction): boolean => {
  const chain = chainOf(origin);
  if (chain.some((die) => fn.chain.includes(die))) return true;
  // A declaration in another unit: only a name that the linker resolved ties it to this function.
  const external = fn.chain.some((die) => flagOf(die, AT.external)) && chain.some((die) => flagOf(die, AT.external));
  const name = nameOf(chain, AT.linkageName, AT.mipsLinkageName, AT.name);
  return external && name !== '' && name === nameOf(fn.chain, AT.linkageName, AT.mipsLinkageName, AT.name);
};

const selfCalling = new WeakMap<CompiledFunction, boolean>();

/** By a chain of tail calls: they keep the return address, but not the arguments. True also where that cannot be excluded. */
const callsItself = (fn: CompiledFunction): boolean => {
  const known = selfCalling.get(fn);
  if (known !== undefined) return known;
  const answer = followTailCalls(fn);
  selfCalling.set(fn, answer);
  return answer;
};

const followTailCalls = (fn: CompiledFunction): boolean => {
  const seen = new Set<CompiledFunction>([fn]);
  const work: CompiledFunction[] = [fn];
  for (let n = 0; ; n++) {
    const at = work.pop();
    if (at === undefined) return false;
    if (n >= MAX_TAIL_CALLS || !at.tailCallsTold) return true;
    for (const call of at.tailCalls) {
      const origin = referenceOf(call, AT.callOrigin) ?? referenceOf(call, AT.abstractOrigin);
      const called = origin === null ? null : compiledFrom(origin);
      if (called === null || called === fn) return true;
      if (!seen.has(called)) {
        seen.add(called);
        work.push(called);
      }
    }
  }
};
