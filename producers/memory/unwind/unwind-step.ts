import type { Architecture } from './architecture.js';
import { type ExpressionFrame, frameExpression } from './frame-expression.js';
import { codeOf } from './module-code.js';
import type { CodeAt, Position } from './position.js';
import { isLoose, returnPlace } from './position.js';
import { RegisterSlots } from './register-slots.js';
import type { FlowState } from './stack-flow.js';
import type { CodeImage, FoundBy } from './stack-frame.js';
import type { StackMemory } from './stack-memory.js';
import type { RegisterRule, UnwindRow } from './unwind-row.js';

/** From one frame to its caller. */
export interface Step {
  readonly cfa: number;
  readonly returnAddress: number;
  /** SP in the caller. */
  readonly sp: number;
  readonly slots: RegisterSlots;
  readonly by: FoundBy;
  /** The caller was interrupted, it did not call. */
  readonly interrupted: boolean;
}

/**
 * `link`: the frame's extent is known, but its return address is in a register that nothing tells. `open`: nothing tells the extent.
 * Null: what is told of it cannot be.
 */
export type Outcome =
  | Step
  | { readonly link: number; readonly slots: RegisterSlots }
  | 'outermost'
  | 'cut'
  | 'open'
  | null;

export const isStep = (outcome: Outcome): outcome is Step =>
  outcome !== null && typeof outcome === 'object' && 'returnAddress' in outcome;

/** Rules for registers, and where the return address is. */
type Rules = Pick<UnwindRow, 'registers' | 'returnRegister'>;

const SAME: RegisterRule = { kind: 'same' };

/** What a frame that follows another tells of registers and memory. */
const expressionFrame = (code: CodeAt, at: Position, stack: StackMemory): ExpressionFrame => ({
  register: (register) => {
    if (register === code.architecture.stackPointer) return BigInt(at.sp);
    if (register === code.architecture.returnRegister && !code.architecture.linkRegister) return BigInt(at.pc);
    const slot = at.slots.get(register);
    return slot === undefined ? null : stack.value(slot, 8);
  },
  memory: (address, size) => stack.value(Number(address), size),
});

const evaluate = (expression: Buffer, initial: number | null, frame: ExpressionFrame): number | null => {
  try {
    const value = frameExpression(expression, initial === null ? null : BigInt(initial), frame);
    return value === null ? null : Number(value);
  } catch {
    return null;
  }
};

/** The frame address that call frame information tells; null if it needs a register that is not known. */
const cfaOf = (code: CodeAt, at: Position, stack: StackMemory): number | null => {
  const rule = code.row!.cfa;
  if (rule.expression !== null) return evaluate(rule.expression, null, expressionFrame(code, at, stack));
  if (rule.register === code.architecture.stackPointer) return at.sp + rule.offset;
  const slot = at.slots.get(rule.register);
  if (slot === undefined) return null;
  const value = stack.word(slot);
  return value === -1 ? null : value + rule.offset;
};

/** Where the caller's registers are, behind a frame whose address is known. */
const callerSlots = (
  code: CodeAt,
  at: Position,
  stack: StackMemory,
  cfa: number,
  { registers, returnRegister }: Rules,
): RegisterSlots => {
  const { calleeSaved, stackPointer } = code.architecture;
  const slots = new RegisterSlots();
  if (at.slots.size > 0)
    slots.inherit(
      at.slots,
      (register) => calleeSaved.has(register) && (registers.get(register) ?? SAME).kind === 'same',
    );
  for (const [register, rule] of registers) {
    if (register === returnRegister || register === stackPointer) continue;
    const slot = slotOf(rule, code, at, stack, cfa);
    if (slot !== null) slots.set(register, slot);
  }
  return slots;
};

const slotOf = (rule: RegisterRule, code: CodeAt, at: Position, stack: StackMemory, cfa: number): number | null => {
  if (rule.kind === 'offset') return cfa + rule.offset;
  if (rule.kind === 'register') return at.slots.get(rule.register) ?? null;
  return rule.kind === 'expression' ? evaluate(rule.expression, cfa, expressionFrame(code, at, stack)) : null;
};

/** SP in the caller: the frame address, unless a rule of its own says otherwise. */
const callerSp = (code: CodeAt, at: Position, stack: StackMemory, cfa: number, rules: Rules): number | null => {
  const rule = rules.registers.get(code.architecture.stackPointer);
  if (rule === undefined || rule.kind === 'same') return cfa;
  if (rule.kind === 'value-offset') return cfa + rule.offset;
  if (rule.kind === 'value-expression') return evaluate(rule.expression, cfa, expressionFrame(code, at, stack));
  const slot = slotOf(rule, code, at, stack, cfa);
  return slot === null ? null : stack.word(slot);
};

/** Follows a rule that tells the frame's extent for certain. */
export const decisiveStep = (image: CodeImage, stack: StackMemory, at: Position, code: CodeAt): Outcome => {
  const { row, place } = code;
  if (row?.outermost === true || place.module.elf.entry === (row?.start ?? code.symbol?.start)) return 'outermost';
  if ((row === null || row.signal) && at.exact && codeOf(place.module).returnsFromSignal(place.vaddr))
    return signalStep(image, stack, at, code);
  if (row === null && !at.exact && codeOf(place.module).endsThread(place.vaddr)) return 'outermost';
  if (row !== null) {
    const cfa = cfaOf(code, at, stack);
    if (cfa !== null) return stepTo(image, stack, at, code, cfa, row, 'cfi');
  }
  return flowStep(image, stack, at, code);
};

/** By what the function's instructions have done to SP on their way here. */
const flowStep = (image: CodeImage, stack: StackMemory, at: Position, code: CodeAt): Outcome => {
  const range = code.range();
  if (range === null) return 'open';
  if (range.start === code.place.module.elf.entry) return 'outermost';
  const { architecture, row } = code;
  const flow = codeOf(code.place.module).flow(range, code.lookup + (at.exact ? 0 : 1), !at.exact);
  if (flow === null) return 'open';
  const rules = row ?? rulesOfFlow(flow, architecture);
  const fpSlot = flow.fpDepth === null ? undefined : at.slots.get(architecture.framePointer);
  const byRecord = fpSlot === undefined ? null : stack.word(fpSlot) + flow.fpDepth!;
  const byDepth = flow.depth === null || flow.slack !== 0 ? null : at.sp + flow.depth;
  if (byRecord !== null && byDepth !== null && byRecord !== byDepth) return null;
  if (byRecord !== null) return stepTo(image, stack, at, code, byRecord, rules, 'frame-record');
  return byDepth === null ? 'open' : stepTo(image, stack, at, code, byDepth, rules, 'prologue');
};

const flowRules = new WeakMap<FlowState, Rules>();

/** What the instructions up to a place say of saved registers, in the terms of call frame information. */
export const rulesOfFlow = (flow: FlowState, architecture: Architecture): Rules => {
  const known = flowRules.get(flow);
  if (known !== undefined) return known;
  const rules = readRules(flow, architecture);
  flowRules.set(flow, rules);
  return rules;
};

const readRules = (flow: FlowState, { returnRegister, linkRegister }: Architecture): Rules => {
  const registers = new Map<number, RegisterRule>();
  for (const [register, depth] of flow.saved)
    registers.set(register, depth === null ? { kind: 'undefined' } : { kind: 'offset', offset: -depth });
  if (!linkRegister) registers.set(returnRegister, { kind: 'offset', offset: -8 });
  return { registers, returnRegister };
};

/** The caller behind a frame address, if a return address stands there that follows a call to what can be this function. */
export const stepTo = (
  image: CodeImage,
  stack: StackMemory,
  at: Position,
  code: CodeAt,
  cfa: number,
  rules: Rules,
  by: FoundBy,
): Outcome => {
  const { architecture } = code;
  // Only a function that has pushed nothing, not even its return address, may have its frame address at SP.
  if (!(cfa > at.sp || (cfa === at.sp && architecture.linkRegister && at.exact)) || cfa % 8 !== 0) return null;
  const slots = callerSlots(code, at, stack, cfa, rules);
  const rule = rules.registers.get(rules.returnRegister) ?? SAME;
  let slot: number | null | undefined;
  if (rule.kind === 'same') {
    if (!architecture.linkRegister) return null;
    slot = at.slots.get(architecture.returnRegister);
    if (slot === undefined) return at.exact ? { link: cfa, slots } : null;
  } else if (rule.kind === 'undefined') return 'outermost';
  else slot = slotOf(rule, code, at, stack, cfa);
  if (slot === null) return null;
  if (!stack.holds(slot)) return 'cut';
  const returnAddress = architecture.signedReturns ? stack.word48(slot) : stack.word(slot);
  const interrupted = follows(image, returnAddress, code);
  if (interrupted === null) return isLoose(image, returnAddress) ? 'open' : null;
  const sp = callerSp(code, at, stack, cfa, rules);
  return sp === null ? null : { cfa, returnAddress, sp, slots, by, interrupted };
};

/**
 * Whether a return address can be that of the function at `code`: false if it follows a call to what can be it, true if it
 * is the place that signal handlers return to, null if it cannot be.
 */
export const follows = (image: CodeImage, returnAddress: number, code: CodeAt): boolean | null => {
  const place = returnPlace(image, returnAddress);
  if (place === null) return null;
  const target = place.module.calls.endingAt(place.vaddr);
  if (target === null) return codeOf(place.module).returnsFromSignal(place.vaddr) ? true : null;
  const { symbol } = code;
  if (target.kind !== 'address') {
    const range = code.symbol === null && code.row === null ? code.range() : null;
    return range?.told !== 'calls' || codeOf(code.place.module).pointedTo(range.start) ? false : null;
  }
  if (place.module === code.place.module) {
    if (symbol !== null && target.vaddr === symbol.start) return false;
    return codeOf(place.module).becomes(target.vaddr, code.range(), symbol) ? false : null;
  }
  return codeOf(place.module).becomes(target.vaddr, null, symbol) ? false : null;
};

/** The frame that the kernel built to deliver a signal: every register of the interrupted function is in it. */
const signalStep = (image: CodeImage, stack: StackMemory, at: Position, code: CodeAt): Outcome => {
  const { signal, stackPointer } = code.architecture;
  const slots = new RegisterSlots();
  for (const [register, offset] of signal.registers) if (register !== stackPointer) slots.set(register, at.sp + offset);
  if (!stack.holds(at.sp + signal.pc)) return 'cut';
  const pc = stack.word(at.sp + signal.pc);
  const sp = stack.word(at.sp + signal.registers.get(stackPointer)!);
  if (!(sp > 0) || image.place(pc) === null) return null;
  return { cfa: sp, returnAddress: pc, sp, slots, by: 'cfi', interrupted: true };
};
