import type { FlowState, FlowStep } from './stack-flow.js';

/** DWARF numbers are the numbers in the instructions (DWARF for the Arm 64-bit Architecture, §4.1). */
export const X29 = 29;
export const X30 = 30;
export const SP = 31;
const X8_IS_93 = 0xd2800ba8;
const X8_IS_139 = 0xd2801168;
const SVC = 0xd4000001;
const BTI_C = 0xd503245f;

/** Registers that the procedure call standard (AAPCS64 §6.1.1) has the callee keep, and the link register, which it saves to call on. */
const kept = (register: number): boolean => register >= 19 && register <= X30;

const word = (code: Buffer, at: number): number => (at >= 0 && at + 4 <= code.length ? code.readUInt32LE(at) : 0);
const signedField = (instruction: number, low: number, bits: number): number =>
  (instruction << (32 - low - bits)) >> (32 - bits);

/** Where a branch goes, relative to itself; null for what is not one of these. */
export const branchOf = (instruction: number): { readonly link: boolean; readonly by: number } | null =>
  (instruction & 0x7c000000) >>> 0 === 0x14000000
    ? { link: instruction >>> 31 === 1, by: signedField(instruction, 0, 26) * 4 }
    : null;

/** blr and its authenticating forms */
export const callsRegister = (instruction: number): boolean =>
  (instruction & 0xfffffc1f) >>> 0 === 0xd63f0000 || (instruction & 0xfefff800) >>> 0 === 0xd63f0800;

const jumpsToRegister = (instruction: number): boolean =>
  (instruction & 0xfffffc1f) >>> 0 === 0xd61f0000 || (instruction & 0xfefff800) >>> 0 === 0xd61f0800;

const conditional = (instruction: number): number | null => {
  // b.cond, cbz and cbnz have 19 bits, tbz and tbnz 14
  if ((instruction & 0xff000000) >>> 0 === 0x54000000 || (instruction & 0x7e000000) >>> 0 === 0x34000000)
    return signedField(instruction, 5, 19) * 4;
  return (instruction & 0x7e000000) >>> 0 === 0x36000000 ? signedField(instruction, 5, 14) * 4 : null;
};

/** ret and its authenticating forms, eret, brk, hlt, udf */
const ends = (instruction: number): boolean =>
  (instruction & 0xfffffc1f) >>> 0 === 0xd65f0000 ||
  (instruction & 0xfffffbff) >>> 0 === 0xd65f0bff ||
  (instruction & 0xfffffbff) >>> 0 === 0xd69f03e0 ||
  (instruction & 0xffe0001f) >>> 0 === 0xd4200000 ||
  (instruction & 0xffe0001f) >>> 0 === 0xd4400000 ||
  instruction >>> 16 === 0;

/** A load or store with a base register. */
interface Access {
  readonly load: boolean;
  readonly base: number;
  /** Bytes from the base, before or after it is changed, at which the first register lies. */
  readonly offset: number;
  /** What the base becomes more by. */
  readonly writeback: number;
  /** General registers of 64 bits moved, in the order of memory; -1 for others. */
  readonly registers: readonly number[];
}

const accessOf = (w: number): Access | null => {
  const base = (w >>> 5) & 31;
  const vector = (w >>> 26) & 1;
  const load = ((w >>> 22) & 1) === 1;
  if ((w & 0x3a000000) >>> 0 === 0x28000000) {
    // pairs: opc, V, mode (post-index, offset, pre-index), imm7
    const opc = w >>> 30;
    const size = vector === 1 ? 4 << opc : opc === 2 ? 8 : 4;
    const by = signedField(w, 15, 7) * size;
    const mode = (w >>> 23) & 3;
    const whole = vector === 0 && opc === 2;
    return {
      load,
      base,
      offset: mode === 1 ? 0 : by,
      writeback: mode === 1 || mode === 3 ? by : 0,
      registers: whole ? [w & 31, (w >>> 10) & 31] : [-1, -1],
    };
  }
  const whole = vector === 0 && w >>> 30 === 3 && ((w >>> 23) & 1) === 0;
  const registers = [whole ? w & 31 : -1];
  if ((w & 0x3b000000) >>> 0 === 0x39000000) {
    const scale = vector === 1 && ((w >>> 23) & 1) === 1 ? 16 : 1 << (w >>> 30);
    return { load, base, offset: ((w >>> 10) & 0xfff) * scale, writeback: 0, registers };
  }
  if ((w & 0x3b200000) >>> 0 === 0x38000000) {
    const by = signedField(w, 12, 9);
    const mode = (w >>> 10) & 3;
    if (mode === 0) return { load, base, offset: by, writeback: 0, registers };
    if (mode === 1) return { load, base, offset: 0, writeback: by, registers };
    if (mode === 3) return { load, base, offset: by, writeback: by, registers };
  }
  return null;
};

const accessed = (state: FlowState, access: Access): FlowState => {
  let { depth, fpDepth } = state;
  const from = access.base === SP ? (state.slack === 0 ? depth : null) : access.base === X29 ? fpDepth : null;
  let saved: Map<number, number | null> | null = null;
  access.registers.forEach((register, i) => {
    if (!kept(register)) return;
    const at = from === null ? null : from - access.offset - i * 8;
    const known = (saved ?? state.saved).get(register);
    if (access.load) {
      // Loads from elsewhere give the register another use: the caller's value stays in its slot.
      if (known === undefined || at === null || known !== at) return;
      saved ??= new Map(state.saved);
      saved.delete(register);
      if (register === X29) fpDepth = null;
    } else if (known === undefined && at !== null) {
      saved ??= new Map(state.saved);
      saved.set(register, at);
    }
  });
  if (access.base === SP && access.writeback !== 0 && depth !== null) depth -= access.writeback;
  return saved === null && depth === state.depth ? state : { ...state, depth, fpDepth, saved: saved ?? state.saved };
};

/** add and sub with an immediate, and whatever else writes SP or the frame pointer. */
const arithmetic = (state: FlowState, w: number): FlowState => {
  const to = w & 31;
  if ((w & 0xbf800000) >>> 0 === 0x91000000 || (w & 0xbf800000) >>> 0 === 0x11000000) {
    if (to !== SP && to !== X29) return state;
    const from = (w >>> 5) & 31;
    const value = ((w >>> 10) & 0xfff) * (((w >>> 22) & 1) === 1 ? 4096 : 1);
    const by = ((w >>> 30) & 1) === 1 ? value : -value;
    const base = from === SP ? state.depth : from === X29 ? state.fpDepth : null;
    const depth = base === null || w >>> 31 === 0 ? null : base + by;
    if (to === X29) return { ...state, fpDepth: from === SP && state.slack !== 0 ? null : depth };
    return { ...state, depth, slack: from === SP ? state.slack : 0 };
  }
  // add/sub with an extended register, and/orr/eor with an immediate, and addvl/addpl are what can write SP
  const writesSp =
    to === SP &&
    ((w & 0x3fe00000) >>> 0 === 0x0b200000 ||
      ((w & 0x1f800000) >>> 0 === 0x12000000 && (w & 0x60000000) >>> 0 !== 0x60000000) ||
      (w & 0xffa0f800) >>> 0 === 0x04205000);
  // sub sp, sp, xN: room of a size that only the run tells
  if ((w & 0xffe003ff) >>> 0 === 0xcb2003ff) return { ...state, slack: Number.POSITIVE_INFINITY };
  if (writesSp) return { ...state, depth: null };
  // Other instructions with x29 as their result take it as a plain register.
  const plain =
    to === X29 &&
    state.fpDepth !== null &&
    ((w & 0x1c000000) >>> 0 === 0x10000000 || (w & 0x0e000000) >>> 0 === 0x0a000000);
  return plain ? { ...state, fpDepth: null } : state;
};

export const step = (code: Buffer, at: number, state: FlowState): FlowStep => {
  if (at < 0 || at + 4 > code.length) return { length: 4, flow: 'end', target: -1, state };
  const w = code.readUInt32LE(at);
  const told = (flow: FlowStep['flow'], target = -1, now = state): FlowStep => ({
    length: 4,
    flow,
    target,
    state: now,
  });
  const branch = branchOf(w);
  if (branch !== null) return told(branch.link ? 'call' : 'jump', at + branch.by);
  const by = conditional(w);
  if (by !== null) return told('branch', at + by);
  if (callsRegister(w)) return told('call');
  if (jumpsToRegister(w)) return told('jump');
  if (ends(w)) return told('end');
  const access = accessOf(w);
  return told('next', -1, access === null ? arithmetic(state, w) : accessed(state, access));
};

/** [bti c]; adrp x16, page; ldr x17, [x16, #offset]; add x16, …; br x17: the slot that x17 comes from. */
export const stubSlot = (code: Buffer, vaddr: number): number | null => {
  const at = word(code, 0) === BTI_C ? 4 : 0;
  const adrp = word(code, at);
  const load = word(code, at + 4);
  if ((adrp & 0x9f00001f) >>> 0 !== 0x90000010 || (load & 0xffc003ff) >>> 0 !== 0xf9400211) return null;
  const pages = signedField(adrp, 5, 19) * 4 + ((adrp >>> 29) & 3);
  const here = vaddr + at;
  return here - (here % 4096) + pages * 4096 + ((load >>> 10) & 0xfff) * 8;
};

/** mov x8, #139; svc #0: rt_sigreturn */
export const returnsFromSignal = (code: Buffer): boolean => word(code, 0) === X8_IS_139 && word(code, 4) === SVC;

/** mov x8, #93; svc #0: exit, a few instructions behind */
export const endsThread = (code: Buffer): boolean =>
  [0, 4, 8].some((at) => word(code, at) === X8_IS_93 && word(code, at + 4) === SVC);

/** adr xN, or adrp xN and add xN, xN, #offset right behind it */
export const takesAddress = (code: Buffer, at: number, vaddr: number): number | null => {
  const first = word(code, at);
  const kind = (first & 0x9f000000) >>> 0;
  const by = signedField(first, 5, 19) * 4 + ((first >>> 29) & 3);
  if (kind === 0x10000000) return vaddr + by;
  if (kind !== 0x90000000) return null;
  const second = word(code, at + 4);
  const register = first & 31;
  const added = (second & 0xffc00000) >>> 0 === 0x91000000 && ((second >>> 5) & 31) === register;
  return added ? vaddr - (vaddr % 4096) + by * 4096 + ((second >>> 10) & 0xfff) : null;
};

/** nop, and zeros */
export const padding = (code: Buffer, at: number): boolean => [0, 0xd503201f].includes(word(code, at));
