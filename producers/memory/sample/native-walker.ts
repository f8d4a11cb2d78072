import type { ProcessImage } from '../locate/process-image.js';
import { NATIVE, onThreads } from '../locate/runtime.js';
import { type StackBlock, StackMemory } from '../unwind/stack-memory.js';
import { unwind } from '../unwind/unwind.js';
import { describeFrames } from './frame-description.js';
import type { Watch } from './look-result.js';
import { PageReader } from './page-reader.js';
import type { DecodedStack, ReadMemory, ThreadStack, Walker } from './walker.js';

/** Bytes read at once where a stack goes on beyond its first block, and how far below the address that was asked for. */
const STACK_PIECE = 64 * 1024;
const STACK_BELOW = 1024;

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

const walk = (image: ProcessImage, watch: Watch, thread: ThreadStack, readMemory: ReadMemory): DecodedStack => {
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

/** Frames that the processor itself made, by unwind and debug information, with their values. */
export const nativeWalker: Walker = { runtime: NATIVE, walk };
