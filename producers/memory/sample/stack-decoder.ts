import type { ProcessImage } from '../locate/process-image.js';
import { onThreads } from '../locate/runtime.js';
import { type StackBlock, StackMemory } from '../unwind/stack-memory.js';
import { unwind } from '../unwind/unwind.js';
import { describeFrames } from './frame-description.js';
import type { SeenFrame, Watch } from './look.js';
import { PageReader } from './page-reader.js';

/** Bytes read at once where a stack goes on beyond its first block, and how far below the address that was asked for. */
const STACK_PIECE = 64 * 1024;
const STACK_BELOW = 1024;

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

/** Where registers of a stopped thread lie for those who ask for the address of a value: no program has memory there. */
const REGISTERS = 2 ** 52;

const registerBlock = (
  registers: ReadonlyMap<number, bigint> = new Map(),
): { readonly block: StackBlock; readonly slots: ReadonlyMap<number, number> } => {
  const bytes = Buffer.alloc(registers.size * 8);
  const slots = new Map<number, number>();
  for (const [register, value] of registers) {
    bytes.writeBigUInt64LE(value, slots.size * 8);
    slots.set(register, REGISTERS + slots.size * 8);
  }
  return { block: { address: REGISTERS, bytes }, slots };
};

/** Frames and values of one thread, of a live process or of a capture. */
export const decodeStack = (
  image: ProcessImage,
  watch: Watch,
  thread: ThreadStack,
  readMemory: ReadMemory,
): DecodedStack => {
  // Deep stacks, and the other stack where a signal handler runs on one of its own: a bounded piece around an address.
  const registers = registerBlock(thread.registers);
  const moreStack = (address: number): StackBlock | null => {
    if (address >= REGISTERS) return registers.block;
    const mapping = image.mapping(address);
    if (mapping === null) return null;
    const start = Math.max(mapping.start, address - STACK_BELOW);
    const bytes = readMemory(start, Math.min(mapping.end - start, STACK_PIECE));
    return bytes.length === 0 ? null : { address: start, bytes };
  };
  const stack = new StackMemory({ address: thread.sp, bytes: thread.bytes }, moreStack);
  const unwound = unwind(image, thread.pc, thread.sp, stack, registers.slots);
  let more = stack.extended;
  const pages = new PageReader(readMemory);
  const memory = (address: number, length: number): Buffer => {
    const near = stack.bytes(address, length);
    if (near.length === length) return near;
    more = true;
    return pages.bytes(address, length);
  };
  const frames = describeFrames(unwound.frames, watch, stack, memory, thread.passed ?? null);
  const complete = unwound.complete && onThreads(image.runtime);
  return { frames, complete, extended: stack.extended, more };
};
