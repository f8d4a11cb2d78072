import type { Architecture } from './architecture.js';
import type { CallSite } from './call-site.js';
import type { FlowState, FlowStep } from './stack-flow.js';
import { type Instruction, instructionAt } from './x86-64-instructions.js';

/** DWARF numbers (System V ABI, AMD64, figure 3.36) by the number in an instruction. */
const DWARF = [0, 2, 1, 3, 7, 6, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15] as const;
const RBX = 3;
const RBP = 6;
const RSP = 7;
const RETURN_ADDRESS = 16;
const CALLEE_SAVED: ReadonlySet<number> = new Set([RBX, RBP, 12, 13, 14, 15]);

const R_X86_64_GLOB_DAT = 6;
const R_X86_64_JUMP_SLOT = 7;
const R_X86_64_RELATIVE = 8;

/** `struct ucontext` at SP within the trampoline: uc_mcontext begins with r8 at byte 40. */
const SIGNAL_REGISTERS = [8, 9, 10, 11, 12, 13, 14, 15, 5, 4, RBP, RBX, 1, 0, 2, RSP];
const SIGNAL_AT = 40;

const ENDBR64 = 0xfa1e0ff3;
const ENTRY_STATE: FlowState = { depth: 8, slack: 0, fpDepth: null, saved: new Map() };

/** Length of an indirect call, its ModRM.mod, and whether a SIB byte follows. */
const INDIRECT: readonly (readonly [number, number, boolean])[] = [
  [2, 3, false],
  [2, 0, false],
  [3, 1, false],
  [3, 0, true],
  [4, 1, true],
  [6, 2, false],
  [7, 2, true],
];

const callBefore = (code: Buffer, vaddr: number): CallSite | null => {
  if (code.length < 7) return null;
  // E8 rel32
  if (code[2] === 0xe8) return { kind: 'direct', target: vaddr + code.readInt32LE(3) };
  // FF 15 disp32: call *disp(%rip), as -fno-plt and libc's own calls have it
  if (code[1] === 0xff && code[2] === 0x15) return { kind: 'slot', slot: vaddr + code.readInt32LE(3) };
  // FF /2 with register, [reg], [reg+disp8], [reg+disp32], with or without SIB
  for (const [back, mod, sib] of INDIRECT)
    if (code[7 - back] === 0xff) {
      const modrm = code[8 - back]!;
      // A register itself needs no SIB byte, r12 neither.
      const plain = mod === 3 || ((modrm & 7) === 4) === sib;
      if (modrm >> 6 === mod && (modrm & 0x38) === 0x10 && plain) return { kind: 'indirect' };
    }
  return null;
};

/** A stub is [endbr64] [bnd] jmp *disp(%rip). */
const stubSlot = (code: Buffer, vaddr: number): number | null => {
  let at = code.length >= 4 && code.readUInt32LE(0) === ENDBR64 ? 4 : 0;
  if (code[at] === 0xf2) at++;
  const jump = code[at] === 0xff && code[at + 1] === 0x25 && at + 6 <= code.length;
  return jump ? vaddr + at + 6 + code.readInt32LE(at + 2) : null;
};

/** mov $15, %rax or %eax; syscall */
const returnsFromSignal = (code: Buffer): boolean => {
  const text = code.toString('latin1', 0, 9);
  return text === '\x48\xc7\xc0\x0f\0\0\0\x0f\x05' || text.startsWith('\xb8\x0f\0\0\0\x0f\x05');
};

/** The system call exit(60), its number loaded right before. */
const endsThread = (code: Buffer): boolean => {
  const text = code.toString('latin1', 0, 16);
  const call = text.indexOf('\x0f\x05');
  if (call < 2) return false;
  const before = text.slice(0, call);
  return before.endsWith('\xb8\x3c\0\0\0') || before.endsWith('\xb0\x3c');
};

/** lea disp(%rip), register; mov $address, register in programs that are not moved */
const takesAddress = (code: Buffer, at: number, vaddr: number): number | null => {
  if (at + 7 > code.length) return null;
  const [first, second, third] = [code[at]!, code[at + 1]!, code[at + 2]!];
  if ((first & 0xf8) === 0x48 && second === 0x8d && (third & 0xc7) === 0x05)
    return vaddr + 7 + code.readInt32LE(at + 3);
  if ((first & 0xf8) === 0x48 && second === 0xc7 && (third & 0xf8) === 0xc0) return code.readInt32LE(at + 3);
  if ((first & 0xf8) === 0xb8) return code.readUInt32LE(at + 1);
  return first === 0x41 && (second & 0xf8) === 0xb8 ? code.readUInt32LE(at + 2) : null;
};

/** nop of any length, int3, and zeros */
const padding = (code: Buffer, from: number): boolean => {
  let at = from;
  while (at - from < 12 && (code[at] === 0x66 || code[at] === 0x2e || code[at] === 0xf3)) at++;
  return code[at] === 0x90 || code[at] === 0xcc || code[at] === 0 || (code[at] === 0x0f && code[at + 1] === 0x1f);
};

const saving = (state: FlowState, register: number, depth: number): FlowState['saved'] => {
  const { saved, slack } = state;
  if (saved.has(register) || !CALLEE_SAVED.has(register)) return saved;
  return new Map(saved).set(register, slack === 0 ? depth : null);
};

const without = (saved: FlowState['saved'], register: number): FlowState['saved'] => {
  if (!saved.has(register)) return saved;
  const rest = new Map(saved);
  rest.delete(register);
  return rest;
};

/** Registers kept by mov instead of push. */
const moved = (state: FlowState, told: Instruction): FlowState => {
  const { depth, saved } = state;
  if (depth === null) return state;
  const at = depth - told.slot;
  const register = DWARF[told.store >= 0 ? told.store : told.load]!;
  if (told.store >= 0) return { ...state, saved: saving(state, register, at) };
  if (state.slack !== 0 || saved.get(register) !== at) return state;
  return { ...state, fpDepth: register === RBP ? null : state.fpDepth, saved: without(saved, register) };
};

const after = (state: FlowState, told: Instruction): FlowState => {
  if (told.store >= 0 || told.load >= 0) return moved(state, told);
  if (told.sp === 'keep' && told.bp === 'keep') return state;
  let { depth, slack, fpDepth, saved } = state;
  if (told.pop >= 0) saved = without(saved, DWARF[told.pop]!);
  if (told.pop === 5) fpDepth = null;
  if (told.sp === 'move') depth = depth === null ? null : depth + told.by;
  else if (told.sp === 'from-bp') {
    depth = fpDepth === null ? null : fpDepth + told.by;
    slack = 0;
  } else if (told.sp === 'falls') slack += told.by === 0 ? Number.POSITIVE_INFINITY : told.by;
  else if (told.sp === 'lost') depth = null;
  if (told.push >= 0 && depth !== null) saved = saving({ ...state, slack, saved }, DWARF[told.push]!, depth);
  if (told.bp === 'set') fpDepth = slack === 0 ? depth : null;
  else if (told.bp === 'leave') {
    fpDepth = null;
    saved = without(saved, RBP);
  }
  return { depth, slack, fpDepth, saved };
};

const step = (code: Buffer, at: number, state: FlowState): FlowStep => {
  const told = instructionAt(code, at);
  return { length: told.length, flow: told.flow, target: told.target, state: after(state, told) };
};

export const X86_64: Architecture = {
  name: 'x86-64',
  stackPointer: RSP,
  framePointer: RBP,
  returnRegister: RETURN_ADDRESS,
  linkRegister: false,
  calleeSaved: CALLEE_SAVED,
  signedReturns: false,
  signal: {
    registers: new Map(SIGNAL_REGISTERS.map((register, i) => [register, SIGNAL_AT + i * 8])),
    pc: SIGNAL_AT + 128,
  },
  returnsFromSignal,
  endsThread,
  callBefore,
  longestCall: 7,
  stubSlot,
  slotRelocations: new Set([R_X86_64_GLOB_DAT, R_X86_64_JUMP_SLOT]),
  relativeRelocation: R_X86_64_RELATIVE,
  takesAddress,
  padding,
  entryState: ENTRY_STATE,
  step,
};
