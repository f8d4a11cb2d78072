import { bytesAt } from '../elf/elf.js';
import type { FunctionSymbol, SymbolTable } from '../elf/symbols.js';
import type { Module } from '../locate/module.js';
import type { Architecture } from './architecture.js';
import { architectureOf } from './architectures.js';
import { type FunctionStarts, functionStarts, nearestStart } from './function-starts.js';
import { doesNotReturn } from './no-return.js';
import { type FlowState, type FlowStep, stackStateAt } from './stack-flow.js';
import type { UnwindRow } from './unwind-row.js';

/** Larger functions are not followed instruction by instruction. */
const MAX_FUNCTION = 256 * 1024;
const MAX_KNOWN = 16_384;
/** Bytes beyond a function's end that decoding its last instruction may want. */
const LOOK_AHEAD = 16;
/** Functions visited when asking whether one can have become another by jumps. */
const MAX_CHAIN = 32;

/** A function's extent in link-time addresses. */
export interface CodeRange {
  readonly start: number;
  readonly size: number;
  /** From a symbol, an entry of call frame information, or only from where calls go to. */
  readonly told: 'symbol' | 'cfi' | 'calls';
}

interface Told {
  readonly symbol: FunctionSymbol | null;
  readonly row: UnwindRow | null;
}

interface End {
  readonly returnsFromSignal: boolean;
  readonly endsThread: boolean;
}

interface Leaving {
  /** Starts of what the function jumps to outside of itself. */
  readonly to: readonly number[];
  /** Some jump goes where nothing tells, or the function could not be read to its end. */
  readonly anywhere: boolean;
}

/** What following the instructions of one file tells, kept as it is found. */
export class ModuleCode {
  readonly #module: Module;
  readonly architecture: Architecture | null;
  /** Those that it has told by. */
  readonly symbols: SymbolTable;
  readonly #told = new Map<number, Told>();
  readonly #ends = new Map<number, End>();
  readonly #ranges = new Map<number, CodeRange | null>();
  readonly #becoming = new Map<number, Map<number, boolean>>();
  readonly #flows = new Map<number, FlowState | null>();
  readonly #leaving = new Map<number, Leaving>();
  #starts: FunctionStarts | undefined;

  constructor(module: Module) {
    this.#module = module;
    this.symbols = module.symbols;
    this.architecture = architectureOf(module.elf.machine);
  }

  /** What symbols and call frame information say of an address. */
  told(vaddr: number): Told {
    let told = this.#told.get(vaddr);
    if (told === undefined) {
      if (this.#told.size > MAX_KNOWN) this.#told.clear();
      told = { symbol: this.#module.symbols.covering(vaddr), row: this.#module.cfi.at(vaddr) };
      this.#told.set(vaddr, told);
    }
    return told;
  }

  /** The kernel lets signal handlers return to the code there. */
  returnsFromSignal(vaddr: number): boolean {
    return this.#endAt(vaddr).returnsFromSignal;
  }

  /** The code there ends the thread: nothing called it. */
  endsThread(vaddr: number): boolean {
    return this.#endAt(vaddr).endsThread;
  }

  #endAt(vaddr: number): End {
    let end = this.#ends.get(vaddr);
    if (end === undefined) {
      if (this.#ends.size > MAX_KNOWN) this.#ends.clear();
      const code = bytesAt(this.#module.elf, vaddr, LOOK_AHEAD);
      end = {
        returnsFromSignal: this.architecture?.returnsFromSignal(code) ?? false,
        endsThread: this.architecture?.endsThread(code) ?? false,
      };
      this.#ends.set(vaddr, end);
    }
    return end;
  }

  /** The function around an address; null if nothing tells where it begins. */
  range(vaddr: number): CodeRange | null {
    const known = this.#ranges.get(vaddr);
    if (known !== undefined) return known;
    if (this.#ranges.size > MAX_KNOWN) this.#ranges.clear();
    const range = this.#readRange(vaddr);
    this.#ranges.set(vaddr, range);
    return range;
  }

  #readRange(vaddr: number): CodeRange | null {
    const { symbol, row } = this.told(vaddr);
    if (symbol !== null) return { start: symbol.start, size: symbol.size, told: 'symbol' };
    if (row !== null) return { start: row.start, size: row.size, told: 'cfi' };
    const found = nearestStart(this.#functions().starts, vaddr);
    return found === null || found.size > MAX_FUNCTION ? null : { ...found, told: 'calls' };
  }

  #functions(): FunctionStarts {
    this.#starts ??= functionStarts(this.#module.elf, this.architecture);
    return this.#starts;
  }

  /** Something in the file points to the function that begins there. */
  pointedTo(start: number): boolean {
    return this.#functions().pointedTo.has(start);
  }

  /** False only if it is certain that no call through a pointer reaches the function that begins there. */
  mayBePointedTo(start: number): boolean {
    const { pointedTo, whole } = this.#functions();
    return !whole || pointedTo.has(start);
  }

  /**
   * The state of the stack before the instruction at `vaddr`, or while the call that ends there goes on (`called`), by following
   * its function from the start; null if nothing is certain.
   */
  flow(range: CodeRange, vaddr: number, called: boolean): FlowState | null {
    const key = vaddr * 2 + (called ? 1 : 0);
    const known = this.#flows.get(key);
    if (known !== undefined) return known;
    if (this.#flows.size > MAX_KNOWN) this.#flows.clear();
    const flow = this.#follow(range, vaddr, called);
    this.#flows.set(key, flow);
    return flow;
  }

  #follow(range: CodeRange, vaddr: number, called: boolean): FlowState | null {
    const { architecture } = this;
    if (architecture === null || range.size > MAX_FUNCTION) return null;
    const code = bytesAt(this.#module.elf, range.start, range.size + LOOK_AHEAD);
    const { calls, symbols } = this.#module;
    return stackStateAt(
      code,
      Math.min(range.size, code.length),
      vaddr - range.start,
      called,
      architecture.entryState,
      architecture.step,
      (target) => {
        const callee = calls.target(range.start + target);
        const names =
          callee.kind === 'name'
            ? [callee.name]
            : callee.kind === 'address'
              ? symbols.covering(callee.vaddr)?.names
              : [];
        return !(names ?? []).some(doesNotReturn);
      },
    );
  }

  /**
   * True if code called as `target` can be running as the function `range` of this file, or as `symbol` of another one (null),
   * without a frame of its own in between: itself, or by tail calls.
   */
  becomes(target: number, range: CodeRange | null, symbol: FunctionSymbol | null): boolean {
    if (range === null) return this.#canBecome(target, range, symbol);
    let known = this.#becoming.get(range.start);
    if (known === undefined) {
      if (this.#becoming.size > MAX_KNOWN) this.#becoming.clear();
      known = new Map();
      this.#becoming.set(range.start, known);
    }
    let can = known.get(target);
    if (can === undefined) {
      if (known.size > MAX_KNOWN) known.clear();
      can = this.#canBecome(target, range, symbol);
      known.set(target, can);
    }
    return can;
  }

  #canBecome(target: number, range: CodeRange | null, symbol: FunctionSymbol | null): boolean {
    const seen = new Set<number>();
    const open = [target];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (seen.has(at)) continue;
      seen.add(at);
      if (seen.size > MAX_CHAIN) return range?.told !== 'calls';
      if (range !== null && inside(range, at)) return true;
      const callee = this.#module.calls.target(at);
      if (callee.kind === 'name') {
        // A function of this name may be this one, whichever file it is in.
        if (symbol === null || symbol.names.includes(callee.name)) return true;
        continue;
      }
      const leaving = this.#leavingOf(at);
      // Where only calls told that there is a function, another one that nothing told may lie in it: then a guess is not enough.
      if (leaving.anywhere && range?.told !== 'calls') return true;
      open.push(...leaving.to);
    }
    return false;
  }

  #leavingOf(start: number): Leaving {
    const known = this.#leaving.get(start);
    if (known !== undefined) return known;
    if (this.#leaving.size > MAX_KNOWN) this.#leaving.clear();
    const leaving = this.#readLeaving(start);
    this.#leaving.set(start, leaving);
    return leaving;
  }

  #readLeaving(start: number): Leaving {
    const range = this.range(start);
    const { architecture } = this;
    const unknown: Leaving = { to: [], anywhere: true };
    if (architecture === null || range === null || range.start !== start || range.size > MAX_FUNCTION) return unknown;
    const code = bytesAt(this.#module.elf, start, range.size + LOOK_AHEAD);
    const to = new Set<number>();
    // One after the other, as they lie there: jumps are all that matters.
    for (let at = 0; at < Math.min(range.size, code.length); ) {
      const told: FlowStep = architecture.step(code, at, architecture.entryState);
      if (told.flow === 'jump' || told.flow === 'branch') {
        if (told.target === -1) return unknown;
        if (told.target < 0 || told.target >= range.size) to.add(start + told.target);
      }
      at += Math.max(1, told.length);
      if (to.size > MAX_CHAIN) return unknown;
    }
    return { to: [...to], anywhere: code.length < range.size };
  }
}

const inside = (range: CodeRange, vaddr: number): boolean => vaddr >= range.start && vaddr < range.start + range.size;

const known = new WeakMap<Module, ModuleCode>();

/** What was found of a module's code so far. */
export const codeOf = (module: Module): ModuleCode => {
  let code = known.get(module);
  // Packed symbols come later, and with them other answers.
  if (code === undefined || code.symbols !== module.symbols) {
    code = new ModuleCode(module);
    known.set(module, code);
  }
  return code;
};
