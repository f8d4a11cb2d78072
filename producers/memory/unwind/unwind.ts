import { bytesAt } from '../elf/elf.js';
import type { FunctionSymbol } from '../elf/symbols.js';
import type { Place } from '../locate/module.js';
import type { ProcessImage } from '../locate/process-image.js';
import type { UnwindRow } from './cfi.js';
import { stackStateAt } from './prologue.js';

const MAX_FRAMES = 256;
/** Larger functions are not followed instruction by instruction. */
const MAX_FUNCTION = 256 * 1024;
/** Words searched for a caller where nothing tells the frame's size. */
const MAX_SEARCH = 512;

export type FoundBy = 'syscall' | 'cfi' | 'prologue' | 'call-site' | 'frame-record' | 'scan';

/** One frame of a thread's stack, run-time addresses. */
export interface StackFrame {
  readonly pc: number;
  /** Null outside of any known file. */
  readonly place: Place | null;
  /** Null if no symbol covers the pc. */
  readonly symbol: FunctionSymbol | null;
  /** How the frame came to light; everything behind a scan is `scan`. */
  readonly foundBy: FoundBy;
  /** How its own extent was fixed; null if nothing did. */
  readonly sizedBy: FoundBy | null;
  /** Canonical frame address; 0 if nothing decisive tells it. */
  readonly cfa: number;
  /** 0 for the outermost and where unknown. */
  readonly returnAddress: number;
}

export interface Unwound {
  /** Innermost first. */
  readonly frames: readonly StackFrame[];
  /** The root was reached without a scan. */
  readonly complete: boolean;
  /** A decisive frame lay beyond the bytes given: more of the stack would tell more. */
  readonly cut: boolean;
}

/** Functions that nothing of the program called. */
const ROOTS = new Set(['_start', '__clone', 'clone', '__clone3', 'clone3', 'start_thread', 'main', 'runtime.goexit']);

/** Eight-byte words of one contiguous piece of stack. */
class Stack {
  constructor(
    readonly bytes: Buffer,
    readonly base: number,
  ) {}
  get end(): number {
    return this.base + this.bytes.length;
  }
  holds(address: number): boolean {
    return address >= this.base && address + 8 <= this.end;
  }
  /** -1 outside. */
  word(address: number): number {
    if (!this.holds(address)) return -1;
    const at = address - this.base;
    return this.bytes.readUInt32LE(at) + this.bytes.readUInt32LE(at + 4) * 2 ** 32;
  }
}

interface Step {
  readonly cfa: number;
  readonly returnAddress: number;
  /** rbp in the caller; null if not known. */
  readonly bp: number | null;
  readonly by: FoundBy;
  readonly signal: boolean;
}

type Outcome = Step | 'outermost' | 'cut' | null;

/** Follows a stopped thread's stack outwards from SP and PC; rbp is not known at the start. */
export const unwind = (image: ProcessImage, pc: number, sp: number, bytes: Buffer): Unwound => {
  const stack = new Stack(bytes, sp);
  const frames: StackFrame[] = [];
  let at = { pc, sp, bp: null as number | null, foundBy: 'syscall' as FoundBy, exact: true };
  let decisive = true;
  for (;;) {
    const place = image.place(at.pc);
    const code = place === null ? null : { ...place, vaddr: at.exact ? place.vaddr : place.vaddr - 1 };
    const symbol = code === null ? null : code.module.symbols.covering(code.vaddr);
    const row = code === null ? null : code.module.cfi.at(code.vaddr);
    const frame = { pc: at.pc, place, symbol, foundBy: at.foundBy };
    const rooted = symbol?.names.some((name) => ROOTS.has(name)) ?? false;
    let step: Outcome = row?.outermost === true ? 'outermost' : decisiveStep(image, stack, at, code, symbol, row);
    if (step === 'cut' || (step === null && rooted) || step === 'outermost' || frames.length >= MAX_FRAMES) {
      frames.push({ ...frame, sizedBy: null, cfa: 0, returnAddress: 0 });
      return { frames, complete: decisive && step !== 'cut' && frames.length <= MAX_FRAMES, cut: step === 'cut' };
    }
    const known: boolean = step !== null && decisive;
    step ??= scanStep(image, stack, at.sp);
    if (step === null) {
      frames.push({ ...frame, sizedBy: null, cfa: 0, returnAddress: 0 });
      return { frames, complete: false, cut: false };
    }
    frames.push({
      ...frame,
      sizedBy: known ? step.by : 'scan',
      cfa: known ? step.cfa : 0,
      returnAddress: step.returnAddress,
    });
    decisive = known;
    at = {
      pc: step.returnAddress,
      sp: step.cfa,
      bp: step.bp,
      foundBy: decisive ? step.by : 'scan',
      exact: step.signal,
    };
  }
};

/** A rule that tells the frame's extent for certain; null if there is none. */
const decisiveStep = (
  image: ProcessImage,
  stack: Stack,
  at: { readonly sp: number; readonly bp: number | null; readonly exact: boolean },
  code: Place | null,
  symbol: FunctionSymbol | null,
  row: UnwindRow | null,
): Outcome => {
  if (code === null) return null;
  if (row?.signal === true) return signalStep(stack, at.sp);
  if (row !== null && (row.cfa.register === 'sp' || (row.cfa.register === 'bp' && at.bp !== null))) {
    const cfa = row.cfa.register === 'sp' ? at.sp + row.cfa.offset : at.bp! + row.cfa.offset;
    return stepTo(image, stack, at, cfa, row, 'cfi');
  }
  const range = symbol ?? row;
  if (range === null || range.size > MAX_FUNCTION) return null;
  const offset = code.vaddr + (at.exact ? 0 : 1) - range.start;
  const state = stackStateAt(bytesAt(code.module.elf, range.start, range.size + 16), offset);
  const bp: UnwindRow['bp'] =
    row?.bp ??
    (state?.savedBp == null
      ? { rule: state === null ? 'other' : 'same', offset: 0 }
      : { rule: 'saved', offset: -state.savedBp });
  if (state?.bpDepth != null && at.bp !== null) {
    const step = stepTo(image, stack, at, at.bp + state.bpDepth, { bp }, 'frame-record');
    if (step !== null) return step;
  }
  if (state?.depth != null) {
    const step = stepTo(image, stack, at, at.sp + state.depth, { bp }, 'prologue');
    if (step !== null) return step;
  }
  return callSiteStep(image, stack, at, code, symbol, range.start, bp);
};

/** The caller behind a frame address, if a return address stands there. */
const stepTo = (
  image: ProcessImage,
  stack: Stack,
  at: { readonly sp: number; readonly bp: number | null },
  cfa: number,
  row: Pick<UnwindRow, 'bp'>,
  by: FoundBy,
): Outcome => {
  if (!(cfa > at.sp) || cfa % 8 !== 0) return null;
  if (!stack.holds(cfa - 8)) return 'cut';
  const returnAddress = stack.word(cfa - 8);
  const place = image.place(returnAddress);
  // A frame of the kernel's making returns to a trampoline that no call precedes.
  if (place === null || (place.module.calls.endingAt(place.vaddr) === null && !returnsFromSignal(place))) return null;
  const bp = row.bp.rule === 'same' ? at.bp : row.bp.rule === 'saved' ? stack.word(cfa + row.bp.offset) : null;
  return { cfa, returnAddress, bp: bp === -1 ? null : bp, by, signal: returnsFromSignal(place) };
};

const returnsFromSignal = (place: Place): boolean => place.module.cfi.at(place.vaddr)?.signal === true;

/** The first slot whose value follows a call to exactly this function. */
const callSiteStep = (
  image: ProcessImage,
  stack: Stack,
  at: { readonly sp: number; readonly bp: number | null },
  code: Place,
  symbol: FunctionSymbol | null,
  start: number,
  bpRule: UnwindRow['bp'],
): Outcome => {
  const from = at.sp + ((8 - (at.sp % 8)) % 8);
  for (let slot = from, n = 0; n < MAX_SEARCH && stack.holds(slot); slot += 8, n++) {
    const place = image.place(stack.word(slot));
    if (place === null) continue;
    const target = place.module.calls.endingAt(place.vaddr);
    if (target === null || target.kind === 'indirect') continue;
    const exact =
      target.kind === 'name'
        ? (symbol?.names.includes(target.name) ?? false)
        : place.module === code.module && target.vaddr === start;
    if (!exact) continue;
    const bp =
      bpRule.rule === 'saved' ? stack.word(slot + 8 + bpRule.offset) : bpRule.rule === 'same' ? (at.bp ?? -1) : -1;
    return {
      cfa: slot + 8,
      returnAddress: stack.word(slot),
      bp: bp === -1 ? null : bp,
      by: 'call-site',
      signal: false,
    };
  }
  return null;
};

/** Layout of the kernel's ucontext on x86-64, at SP inside the trampoline: rbp 120, rsp 160, rip 168. */
const signalStep = (stack: Stack, sp: number): Outcome => {
  const [bp, outer, pc] = [stack.word(sp + 120), stack.word(sp + 160), stack.word(sp + 168)];
  if (pc === -1) return 'cut';
  return outer > sp ? { cfa: outer, returnAddress: pc, bp, by: 'cfi', signal: true } : null;
};

/** Any word that follows a call inside a sized function: it may be stale. */
const scanStep = (image: ProcessImage, stack: Stack, sp: number): Step | null => {
  const from = sp + ((8 - (sp % 8)) % 8);
  for (let slot = from, n = 0; n < MAX_SEARCH && stack.holds(slot); slot += 8, n++) {
    const returnAddress = stack.word(slot);
    const place = image.place(returnAddress);
    if (place === null || place.module.calls.endingAt(place.vaddr) === null) continue;
    if (place.module.symbols.covering(place.vaddr - 1) === null && place.module.cfi.at(place.vaddr - 1) === null)
      continue;
    return { cfa: slot + 8, returnAddress, bp: null, by: 'scan', signal: false };
  }
  return null;
};
