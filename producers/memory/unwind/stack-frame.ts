import type { FunctionSymbol } from '../elf/symbols.js';
import type { Place } from '../locate/module.js';
import type { RegisterSlots } from './register-slots.js';

export type FoundBy = 'syscall' | 'cfi' | 'prologue' | 'call-site' | 'frame-record' | 'scan';

/** One frame of a thread's stack, run-time addresses. */
export interface StackFrame {
  readonly pc: number;
  /** The address that tells the frame's code: pc, or within the call before it where the frame has called on. */
  readonly lookup: number;
  /** Of `pc`; null outside of any known file. */
  readonly place: Place | null;
  /** Null if no symbol covers the code. */
  readonly symbol: FunctionSymbol | null;
  /** How the frame came to light; everything behind a scan is `scan`. */
  readonly foundBy: FoundBy;
  /** How its own extent was fixed; null if nothing did. */
  readonly sizedBy: FoundBy | null;
  /** SP within the frame, when it called or was interrupted. */
  readonly sp: number;
  /** Canonical frame address; 0 if nothing decisive tells it. */
  readonly cfa: number;
  /** 0 for the outermost and where unknown. */
  readonly returnAddress: number;
  /** Where younger frames saved this frame's registers, by DWARF number; a register that is absent is not known. Empty behind a scan. */
  readonly registerSlots: RegisterSlots;
}

export interface Unwound {
  /** Innermost first. */
  readonly frames: readonly StackFrame[];
  /** The root was reached without a scan. */
  readonly complete: boolean;
  /** A decisive frame lay beyond what may be read of the stack. */
  readonly cut: boolean;
}

/** Code of a process by run-time address. */
export interface CodeImage {
  place(address: number): Place | null;
  /** Start addresses of mappings that hold code. */
  readonly mappings: readonly { readonly start: number; readonly executable: boolean }[];
  mapping(address: number): { readonly end: number; readonly executable: boolean } | null;
}
