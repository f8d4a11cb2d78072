import { bytesAt } from '../elf/elf.js';
import { AT } from './constants.js';
import type { DescribedModule } from './frame-view.js';
import { type CompiledFunction, compiledFrom, functionOf } from './functions.js';
import { addressOf, chainOf, type Die, holderOf, referenceOf, stringOf } from './unit.js';

/** Functions looked at in search of a route. */
const MAX_FUNCTIONS = 64;

/** A function that left by jumping to another, which then returned to its caller. */
export interface TailCall {
  readonly fn: CompiledFunction;
  readonly call: Die;
}

const SELF = 'the function may have called itself with other arguments';
const SEVERAL = 'reached by a tail call, and not certain by which';

/**
 * The one way from `called` to `fn` by tail calls; empty if they are the same. A text says why there is not exactly one: tail calls keep
 * the return address, but not the arguments.
 */
export const routeTo = (
  module: DescribedModule,
  called: CompiledFunction,
  fn: CompiledFunction,
): readonly TailCall[] | string => {
  if (leavesBack(module, fn)) return SELF;
  if (called === fn) return [];
  const found: TailCall[][] = [];
  const work: { at: CompiledFunction; route: TailCall[] }[] = [{ at: called, route: [] }];
  for (let n = 0; work.length > 0; n++) {
    const { at, route } = work.pop()!;
    if (n >= MAX_FUNCTIONS || !at.tailCallsTold) return SEVERAL;
    for (const call of at.tailCalls) {
      const next = calledBy(module, call);
      // What cannot be told may lead there too, and so may a circle, any number of times.
      if (next === null || next === called || route.some((one) => one.fn === next)) return SEVERAL;
      const longer = [...route, { fn: at, call }];
      if (next !== fn) work.push({ at: next, route: longer });
      else if (found.push(longer) > 1) return SEVERAL;
    }
  }
  return found[0] ?? SEVERAL;
};

const leaving = new WeakMap<CompiledFunction, boolean>();

/** The function may come back to itself by tail calls; also where that cannot be excluded. */
const leavesBack = (module: DescribedModule, fn: CompiledFunction): boolean => {
  let known = leaving.get(fn);
  if (known === undefined) {
    known = findWayBack(module, fn);
    leaving.set(fn, known);
  }
  return known;
};

const findWayBack = (module: DescribedModule, fn: CompiledFunction): boolean => {
  const seen = new Set<CompiledFunction>([fn]);
  const work: CompiledFunction[] = [fn];
  for (let n = 0; work.length > 0; n++) {
    const at = work.pop()!;
    if (n >= MAX_FUNCTIONS || !at.tailCallsTold) return true;
    for (const call of at.tailCalls) {
      const next = calledBy(module, call);
      if (next === null || next === fn) return true;
      if (!seen.has(next)) {
        seen.add(next);
        work.push(next);
      }
    }
  }
  return false;
};

/** The function that begins at a link-time address; null if none that is described does. */
export const enteredAt = (module: DescribedModule, vaddr: number): CompiledFunction | null => {
  const fn = module.info === null ? null : functionOf(module.info, vaddr);
  return fn !== null && fn.entry === vaddr ? fn : null;
};

/** Link-time address behind the instruction of a call; -1 if it is not told. */
export const returnOf = (call: Die): number => {
  const returns = addressOf(call, AT.callReturnPc) ?? addressOf(call, AT.lowPc);
  if (returns !== null) return returns;
  const at = addressOf(call, AT.callPc);
  return at === null ? -1 : at + 1;
};

/** The name that ties declarations to a definition elsewhere. */
export const linkedName = (chain: readonly Die[]): string => {
  for (const name of [AT.linkageName, AT.mipsLinkageName, AT.name]) {
    const holder = holderOf(chain, name);
    if (holder !== null) return stringOf(holder, name);
  }
  return '';
};

const calledBy = (module: DescribedModule, call: Die): CompiledFunction | null => {
  const origin = referenceOf(call, AT.callOrigin) ?? referenceOf(call, AT.abstractOrigin);
  if (origin === null) return null;
  const own = compiledFrom(origin);
  if (own !== null) return own;
  // Declared here and defined in another unit: the jump itself tells where, and its name confirms it.
  const name = linkedName(chainOf(origin));
  for (const target of jumpTargets(module, call)) {
    const fn = enteredAt(module, target);
    if (fn !== null && name !== '' && linkedName(fn.chain) === name) return fn;
  }
  return null;
};

/** Where the jump of a tail call may go; what is no jump gives addresses that mean nothing. */
const jumpTargets = (module: DescribedModule, call: Die): number[] => {
  const { elf } = module;
  const found: number[] = [];
  const returns = addressOf(call, AT.callReturnPc) ?? addressOf(call, AT.lowPc);
  const at = addressOf(call, AT.callPc);
  if (elf.machine === ARM64) {
    const jump = at ?? (returns === null ? -1 : returns - 4);
    const code = bytesAt(elf, jump, 4);
    if (code.length === 4 && code.readUInt32LE(0) >>> 26 === 5) found.push(jump + ((code.readUInt32LE(0) << 6) >> 4));
    return found;
  }
  const ends = [...(returns === null ? [] : [returns]), ...(at === null ? [] : [at + 5, at + 6])];
  for (const end of ends) {
    const code = bytesAt(elf, end - 6, 6);
    if (code.length === 6 && (code[1] === 0xe9 || (code[0] === 0x0f && (code[1]! & 0xf0) === 0x80)))
      found.push(end + code.readInt32LE(2));
  }
  if (returns !== null) {
    const code = bytesAt(elf, returns - 2, 2);
    if (code.length === 2 && (code[0] === 0xeb || (code[0]! & 0xf0) === 0x70)) found.push(returns + code.readInt8(1));
  }
  return found;
};

const ARM64 = 183;
