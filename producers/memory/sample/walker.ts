import type { ProcessImage } from '../locate/process-image.js';
import type { SeenFrame, Watch } from './look-result.js';

/** Memory of the process; fewer bytes, or none, where it cannot be read. */
export type ReadMemory = (address: number, length: number) => Buffer;

/** Where a thread stands, and the stack from SP on as far as it was read. */
export interface ThreadStack {
  readonly pc: number;
  readonly sp: number;
  readonly bytes: Buffer;
  /** Registers by DWARF number, of a thread that is stopped; elsewhere none but these two is known. */
  readonly registers?: ReadonlyMap<number, bigint>;
  /** Arguments of the system call that it waits in, `0x…`; none outside of one. */
  readonly passed?: () => readonly string[];
}

export interface DecodedStack {
  /** Innermost first. */
  readonly frames: readonly SeenFrame[];
  /** The stack reached its root without a scan, and what is not on the stacks of threads is not executed. */
  readonly complete: boolean;
  /** The bytes given did not hold all of the stack. */
  readonly extended: boolean;
  /** Memory beyond the bytes given was read: what is told holds only if the thread has not moved since. */
  readonly more: boolean;
}

/** Reads a thread's stack in the terms of one runtime: of a live process or of a capture, which it is not to know. */
export interface Walker {
  /** As frames name it: `native`, `python`, … */
  readonly runtime: string;
  walk(image: ProcessImage, watch: Watch, thread: ThreadStack, readMemory: ReadMemory): DecodedStack;
}
