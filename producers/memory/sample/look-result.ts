import type { ErrorCode } from '../../../schemas/errors.js';
import type { DecodedParameter } from '../dwarf/values.js';
import type { FoundBy } from '../unwind/stack-frame.js';
import type { ArchitectureName } from './architecture-name.js';

export type LookOutcome = 'sampled' | 'running' | 'torn' | 'gone';

export interface SeenFrame {
  /** Run-time address of the code. */
  readonly pc: number;
  /** With namespaces where debug information tells them; null if neither that nor a symbol covers the address. */
  readonly function: string | null;
  /** Mangled; '' where not told or not mangled. */
  readonly linkageName: string;
  /** Source file as the compiler wrote it, and line; '' and 0 without debug information. */
  readonly source: string;
  readonly line: number;
  /** Its code stands within that of the next frame, which has the same physical frame. */
  readonly inlined: boolean;
  /** Path of the file that holds the code; '' if none does. */
  readonly file: string;
  readonly foundBy: FoundBy;
  readonly sizedBy: FoundBy | null;
  /** Canonical frame address; 0 if not certain. */
  readonly frameAddress: number;
  readonly returnAddress: number;
  readonly parameters: readonly DecodedParameter[];
}

export interface SeenThread {
  readonly tid: number;
  readonly name: string;
  /** CLOCK_BOOTTIME, µs: a moment at which what is told was so. */
  readonly at: number;
  readonly outcome: LookOutcome;
  /** ns */
  readonly runTime: number;
  readonly slices: number;
  /** The stack reached its root without a scan. */
  readonly complete: boolean;
  /** Nothing ran since the last look, which was valid: the frames are that look's. */
  readonly asBefore: boolean;
  /** Null unless sampled; number -1 outside of a system call. */
  readonly syscall: { readonly number: number; readonly arguments: readonly string[] } | null;
  /** Innermost first. */
  readonly frames: readonly SeenFrame[];
  /** Functions whose calls returned not long ago, nearest first: what they left below the stack pointer. A hint, never a fact. */
  readonly residue?: readonly SeenFrame[];
}

export interface LookResult {
  readonly pid: number;
  readonly startTime: string;
  /** CLOCK_BOOTTIME, µs: when the look began and ended. */
  readonly from: number;
  readonly at: number;
  /** The process runs another program since the last look. */
  readonly replaced: boolean;
  /** The process has ended; no threads then. */
  readonly gone: boolean;
  /** What runs the program: `native`, `python 3.11`, `go 1.22`, `java`, `node`. Stacks show that runtime's own frames, not its program's. */
  readonly runtime: string;
  readonly architecture: ArchitectureName;
  /** Why nothing of it can be read any more, PROCESS_DENIED or PROCESS_UNSUPPORTED; '' if it can. */
  readonly refused: ErrorCode | '';
  readonly threads: readonly SeenThread[];
  readonly micros: number;
  readonly bytesRead: number;
  /** Watched globals and statics, as they were when the threads had been looked at. */
  readonly globals?: readonly DecodedParameter[];
  /** The process was stopped for this look. */
  readonly stopped?: boolean;
  /** Threads whose files had been closed for want of descriptors. */
  readonly reopened: number;
}

/** Functions and parameters whose values are to be read; `all` also takes what pointers of every function point at. */
export type Watch = ReadonlySet<string> | 'all';
