import type { Architecture } from './architecture.js';
import * as instructions from './arm64-instructions.js';
import type { CallSite } from './call-site.js';

const R_AARCH64_GLOB_DAT = 1025;
const R_AARCH64_JUMP_SLOT = 1026;
const R_AARCH64_RELATIVE = 1027;

/** `struct rt_sigframe` at SP within the trampoline: siginfo 128, uc_mcontext at 176 of the ucontext, x0 8 bytes into it. */
const SIGNAL_AT = 128 + 176 + 8;

const callBefore = (code: Buffer, vaddr: number): CallSite | null => {
  if (code.length < 4) return null;
  const word = code.readUInt32LE(0);
  const branch = instructions.branchOf(word);
  if (branch !== null) return branch.link ? { kind: 'direct', target: vaddr - 4 + branch.by } : null;
  return instructions.callsRegister(word) ? { kind: 'indirect' } : null;
};

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

export const ARM64: Architecture = {
  name: 'arm64',
  stackPointer: instructions.SP,
  framePointer: instructions.X29,
  returnRegister: instructions.X30,
  linkRegister: true,
  // x19 to x29, and d8 to d15
  calleeSaved: new Set([...range(19, 29), ...range(72, 79)]),
  signedReturns: true,
  signal: {
    registers: new Map(range(0, 31).map((register) => [register, SIGNAL_AT + register * 8])),
    pc: SIGNAL_AT + 32 * 8,
  },
  returnsFromSignal: instructions.returnsFromSignal,
  endsThread: instructions.endsThread,
  callBefore,
  longestCall: 4,
  stubSlot: instructions.stubSlot,
  slotRelocations: new Set([R_AARCH64_GLOB_DAT, R_AARCH64_JUMP_SLOT]),
  relativeRelocation: R_AARCH64_RELATIVE,
  takesAddress: instructions.takesAddress,
  padding: instructions.padding,
  entryState: { depth: 0, slack: 0, fpDepth: null, saved: new Map() },
  step: instructions.step,
};
