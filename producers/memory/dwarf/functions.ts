import { AT, TAG } from './constants.js';
import type { DebugInfo } from './debug-info.js';
import { enteredAt, type Range, rangesOf } from './ranges.js';
import { addressOf, chainOf, type Die, flagOf, referenceOf, type Unit } from './unit.js';

const MAX_ENTRIES = 20_000_000;
const MAX_DEPTH = 4096;

const CONTAINERS: ReadonlySet<number> = new Set([
  TAG.namespace,
  TAG.module,
  TAG.classType,
  TAG.structureType,
  TAG.unionType,
  TAG.enumerationType,
  TAG.interfaceType,
  TAG.subprogram,
]);

/** Which entries of a unit hold which, and where its functions lie. */
interface Outline {
  /** Containers in order of their offsets. */
  readonly starts: Float64Array;
  readonly ends: Float64Array;
  /** Functions with code, by start. */
  readonly functions: readonly { readonly low: number; readonly high: number; readonly at: number }[];
}

const outlines = new WeakMap<Unit, Outline>();

const outlineOf = (unit: Unit): Outline => {
  let known = outlines.get(unit);
  if (known === undefined) {
    known = readOutline(unit);
    outlines.set(unit, known);
  }
  return known;
};

/** One walk over all entries, looking into functions' own only. */
const readOutline = (unit: Unit): Outline => {
  const starts: number[] = [];
  const ends: number[] = [];
  const functions: { low: number; high: number; at: number }[] = [];
  const { start, size } = unit.header;
  const cursor = unit.cursor(start + size);
  /** Indices of open containers; -1 for other entries with children. */
  const open: number[] = [];
  for (let n = 0; !cursor.done; n++) {
    if (n > MAX_ENTRIES) cursor.fail('too many entries in a unit');
    const at = cursor.at + start;
    const abbreviation = unit.enter(cursor);
    if (abbreviation === null) {
      const closed = open.pop() ?? -1;
      if (closed >= 0) ends[closed] = at;
      if (open.length === 0) break;
      continue;
    }
    const { tag, names } = abbreviation;
    unit.pass(cursor, abbreviation);
    if (tag === TAG.subprogram && (names.includes(AT.lowPc) || names.includes(AT.ranges)))
      for (const { low, high } of rangesOf(unit.die(at))) functions.push({ low, high, at });
    if (abbreviation.children) {
      if (open.length >= MAX_DEPTH) cursor.fail('entries nested too deeply');
      if (CONTAINERS.has(tag)) {
        open.push(starts.push(at) - 1);
        ends.push(unit.header.end);
      } else open.push(-1);
    } else if (open.length === 0) break;
  }
  functions.sort((a, b) => a.low - b.low);
  return { starts: Float64Array.from(starts), ends: Float64Array.from(ends), functions };
};

/** The namespace, type or function that an entry stands in; null for one that stands directly in its unit. */
export const containerOf = (die: Die): Die | null => {
  const { starts, ends } = outlineOf(die.unit);
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (starts[middle]! < die.offset) low = middle + 1;
    else high = middle;
  }
  for (let i = low - 1, n = 0; i >= 0 && n < 1_000_000; i--, n++)
    if (die.offset < ends[i]!) return die.unit.die(starts[i]!);
  return null;
};

/** A piece of a function's code with parameters of its own: the function itself or one that was inlined into it. */
export interface Scope {
  readonly die: Die;
  readonly ranges: readonly Range[];
  /** Index of the scope around it; -1 for the function itself. */
  readonly outer: number;
}

/** A function as it was compiled, with what was inlined into it and the calls that it makes. */
export interface CompiledFunction {
  readonly die: Die;
  readonly unit: Unit;
  readonly chain: readonly Die[];
  readonly ranges: readonly Range[];
  /** Link-time address of its first instruction. */
  readonly entry: number;
  /** The function first, each scope behind the one around it. */
  readonly scopes: readonly Scope[];
  /** By the link-time address that the call returns to. */
  readonly calls: ReadonlyMap<number, Die>;
  readonly tailCalls: readonly Die[];
  /** Every call, or every tail call, that it makes is told. */
  readonly tailCallsTold: boolean;
}

const compiled = new WeakMap<Unit, Map<number, CompiledFunction>>();
const MAX_KEPT = 4096;

/** The function whose code holds a link-time address; null if the unit has none there. Throws DWARF_INVALID. */
export const functionAt = (unit: Unit, vaddr: number): CompiledFunction | null => {
  const { functions } = outlineOf(unit);
  let low = 0;
  let high = functions.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (functions[middle]!.low <= vaddr) low = middle + 1;
    else high = middle;
  }
  // Compilers do not nest the code of functions; a few steps back are for those that lie within another's range.
  for (let i = low - 1, n = 0; i >= 0 && n < 64; i--, n++)
    if (vaddr < functions[i]!.high) return compiledFunction(unit, functions[i]!.at);
  return null;
};

const located = new WeakMap<DebugInfo, Map<number, CompiledFunction | null>>();
const MAX_LOCATED = 8192;

/** The function at a link-time address, kept for the next look. Throws DWARF_INVALID. */
export const functionOf = (info: DebugInfo, vaddr: number): CompiledFunction | null => {
  let kept = located.get(info);
  if (kept === undefined) {
    kept = new Map();
    located.set(info, kept);
  }
  let known = kept.get(vaddr);
  if (known === undefined) {
    if (kept.size >= MAX_LOCATED) kept.clear();
    const unit = info.unitOf(vaddr)?.full;
    known = unit === undefined ? null : functionAt(unit, vaddr);
    kept.set(vaddr, known);
  }
  return known;
};

/** A function by the offset of its entry. */
export const compiledFunction = (unit: Unit, at: number): CompiledFunction => {
  let kept = compiled.get(unit);
  if (kept === undefined) {
    kept = new Map();
    compiled.set(unit, kept);
  }
  let known = kept.get(at);
  if (known === undefined) {
    if (kept.size >= MAX_KEPT) kept.clear();
    known = readFunction(unit, at);
    kept.set(at, known);
  }
  return known;
};

/** The one function that was compiled from an entry, which may be its abstract instance; null unless there is exactly one. */
export const compiledFrom = (die: Die): CompiledFunction | null => {
  const found = new Set<number>();
  for (const { at } of outlineOf(die.unit).functions)
    if (at === die.offset || chainOf(die.unit.die(at)).includes(die)) found.add(at);
  const [at] = found;
  return at === undefined || found.size > 1 ? null : compiledFunction(die.unit, at);
};

const SCOPES: ReadonlySet<number> = new Set([TAG.inlinedSubroutine]);
const CALLS: ReadonlySet<number> = new Set([TAG.callSite, TAG.gnuCallSite]);

const readFunction = (unit: Unit, at: number): CompiledFunction => {
  const die = unit.die(at);
  const ranges = rangesOf(die);
  const scopes: Scope[] = [{ die, ranges, outer: -1 }];
  const calls = new Map<number, Die>();
  const tailCalls: Die[] = [];
  if (die.abbreviation.children) {
    const cursor = unit.cursor(die.next);
    /** Scope that each open entry belongs to; -1 inside of another function. */
    const open: number[] = [0];
    for (let n = 0; open.length > 0 && !cursor.done; n++) {
      if (n > MAX_ENTRIES) cursor.fail('too many entries in a function');
      const offset = cursor.at + unit.header.start;
      const abbreviation = unit.enter(cursor);
      if (abbreviation === null) {
        open.pop();
        continue;
      }
      unit.pass(cursor, abbreviation);
      const { tag } = abbreviation;
      let scope = open.at(-1)!;
      if (tag === TAG.subprogram) scope = -1;
      if (scope >= 0 && SCOPES.has(tag)) {
        const inlined = unit.die(offset);
        scope = scopes.push({ die: inlined, ranges: rangesOf(inlined), outer: scope }) - 1;
      } else if (scope >= 0 && CALLS.has(tag)) readCall(unit.die(offset), calls, tailCalls);
      if (abbreviation.children) {
        if (open.length >= MAX_DEPTH) cursor.fail('entries nested too deeply');
        open.push(scope);
      }
    }
  }
  const chain = chainOf(die);
  return {
    die,
    unit,
    chain,
    ranges,
    entry: entryOf(die, ranges),
    scopes,
    calls,
    tailCalls,
    tailCallsTold: ALL_CALLS.some((attribute) => flagOf(die, attribute)),
  };
};

const ALL_CALLS = [
  AT.callAllCalls,
  AT.callAllTailCalls,
  AT.callAllSourceCalls,
  AT.gnuAllTailCallSites,
  AT.gnuAllCallSites,
  AT.gnuAllSourceCallSites,
];

/** A function in several parts begins where its first one does, not at the lowest address. */
const entryOf = (die: Die, ranges: readonly Range[]): number =>
  enteredAt(die) ?? ranges[0]?.low ?? addressOf(die, AT.lowPc) ?? -1;

const readCall = (die: Die, calls: Map<number, Die>, tailCalls: Die[]): void => {
  if (flagOf(die, AT.callTailCall) || flagOf(die, AT.gnuTailCall)) {
    tailCalls.push(die);
    return;
  }
  // GNU's form before DWARF 5 has the address that the call returns to as its low_pc.
  const returns = addressOf(die, AT.callReturnPc) ?? (die.tag === TAG.gnuCallSite ? addressOf(die, AT.lowPc) : null);
  if (returns !== null) calls.set(returns, die);
};

const covers = (ranges: readonly Range[], vaddr: number): boolean => {
  for (const { low, high } of ranges) if (vaddr >= low && vaddr < high) return true;
  return false;
};

/** The scopes around a link-time address, innermost first; the function itself is the last. */
export const scopesAt = (fn: CompiledFunction, vaddr: number): readonly Scope[] => {
  // A scope stands behind the one around it, so the last that covers the address is the innermost.
  for (let i = fn.scopes.length - 1; i > 0; i--) {
    if (!covers(fn.scopes[i]!.ranges, vaddr)) continue;
    const found: Scope[] = [];
    for (let at = i; at >= 0 && found.length < MAX_DEPTH; at = fn.scopes[at]!.outer) found.push(fn.scopes[at]!);
    return found;
  }
  return fn.scopes.slice(0, 1);
};

/** The formal parameters of a function or inlined function, in order. */
export const parametersOf = (die: Die): readonly Die[] => {
  const own = die.unit.children(die).filter(({ tag }) => tag === TAG.formalParameter);
  // What was optimised away altogether stands in the abstract instance only.
  const abstract = referenceOf(die, AT.abstractOrigin);
  if (abstract === null) return own;
  const all = abstract.unit.children(abstract).filter(({ tag }) => tag === TAG.formalParameter);
  const rest = [...own];
  const ordered = all.map((parameter) => {
    const at = rest.findIndex((one) => chainOf(one).includes(parameter));
    return at < 0 ? parameter : rest.splice(at, 1)[0]!;
  });
  return [...ordered, ...rest];
};
