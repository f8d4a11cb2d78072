import type { CallSite } from './call-site.js';
import type { FlowState, ReadState } from './stack-flow.js';

/** What the kernel lays down at SP to deliver a signal: places of the interrupted registers, relative to SP. */
export interface SignalLayout {
  /** By DWARF number, the stack pointer's included. */
  readonly registers: ReadonlyMap<number, number>;
  readonly pc: number;
}

/** What unwinding needs to know of an instruction set and its calling convention. Registers by DWARF number. */
export interface Architecture {
  readonly name: 'x86-64' | 'arm64';
  readonly stackPointer: number;
  readonly framePointer: number;
  /** The register, or on x86-64 the column, of the return address. */
  readonly returnRegister: number;
  /** A call leaves the return address in a register: a function that calls none need not save it. */
  readonly linkRegister: boolean;
  /** Registers that a function gives back as it found them. */
  readonly calleeSaved: ReadonlySet<number>;
  /** A code address without what pointer authentication put into it, from the eight bytes in memory. */
  readonly signedReturns: boolean;
  readonly signal: SignalLayout;
  /** The instructions at `code` are those that the kernel lets a handler return to. */
  returnsFromSignal(code: Buffer): boolean;
  /** The instructions at `code` end the thread or the process by a system call: nothing called them. */
  endsThread(code: Buffer): boolean;
  /** The call whose next instruction stands at `vaddr`, `before` the bytes up to there; null if none ends there. */
  callBefore(before: Buffer, vaddr: number): CallSite | null;
  /** Bytes needed for that. */
  readonly longestCall: number;
  /** The slot that a stub at the start of `code` jumps through; null if it is no stub of the procedure linkage table. */
  stubSlot(code: Buffer, vaddr: number): number | null;
  /** Relocation types that bind a slot to a function's name. */
  readonly slotRelocations: ReadonlySet<number>;
  /** Relocation type of a pointer into the file itself. */
  readonly relativeRelocation: number;
  /** The address that the instruction at `at`, whose own one is `vaddr`, takes of code or data nearby; null if it takes none. */
  takesAddress(code: Buffer, at: number, vaddr: number): number | null;
  /** The instruction at `at` only fills the space between functions. */
  padding(code: Buffer, at: number): boolean;
  readonly entryState: FlowState;
  /** What the instruction at `at` does; see stack-flow.ts. */
  readonly step: ReadState;
}
