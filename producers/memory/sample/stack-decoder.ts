import { decodeParameter } from '../dwarf/values.js';
import type { ProcessImage } from '../locate/process-image.js';
import type { StackFrame } from '../unwind/stack-frame.js';
import { type StackBlock, StackMemory } from '../unwind/stack-memory.js';
import { unwind } from '../unwind/unwind.js';
import type { SeenFrame, Watch } from './look.js';

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
}

export interface DecodedStack {
  /** Innermost first. */
  readonly frames: readonly SeenFrame[];
  /** The stack reached its root without a scan. */
  readonly complete: boolean;
  /** The bytes given did not hold all of the stack. */
  readonly extended: boolean;
  /** Memory beyond the bytes given was read: what is told holds only if the thread has not moved since. */
  readonly more: boolean;
}

/** Frames and values of one thread, of a live process or of a capture. */
export const decodeStack = (
  image: ProcessImage,
  watch: Watch,
  thread: ThreadStack,
  readMemory: ReadMemory,
): DecodedStack => {
  // Deep stacks, and the other stack where a signal handler runs on one of its own: a bounded piece around an address.
  const moreStack = (address: number): StackBlock | null => {
    const mapping = image.mapping(address);
    if (mapping === null) return null;
    const start = Math.max(mapping.start, address - STACK_BELOW);
    const bytes = readMemory(start, Math.min(mapping.end - start, STACK_PIECE));
    return bytes.length === 0 ? null : { address: start, bytes };
  };
  const stack = new StackMemory({ address: thread.sp, bytes: thread.bytes }, moreStack);
  const unwound = unwind(image, thread.pc, thread.sp, stack);
  let more = stack.extended;
  const slot = (address: number, length: number): Buffer => stack.bytes(address, length);
  const memory = (address: number, length: number): Buffer => {
    more = true;
    return readMemory(address, length);
  };
  const frames = unwound.frames.map((frame, i) => describe(watch, frame, i === 0, slot, memory));
  return { frames, complete: unwound.complete, extended: stack.extended, more };
};

const describe = (
  watch: Watch,
  frame: StackFrame,
  innermost: boolean,
  slot: ReadMemory,
  memory: ReadMemory,
): SeenFrame => {
  const { symbol, place } = frame;
  const names = symbol?.names ?? [];
  const watched = watch === 'all' ? undefined : names.find((name) => watch.has(name));
  const wanted = symbol !== null && place !== null && (watch === 'all' || watched !== undefined);
  const formal = wanted ? place.module.parameters().functions.get(symbol.start) : undefined;
  return {
    pc: frame.pc,
    function: watched ?? names[0] ?? null,
    file: place?.module.path ?? '',
    foundBy: frame.foundBy,
    sizedBy: frame.sizedBy,
    frameAddress: frame.cfa,
    returnAddress: frame.returnAddress,
    parameters: formal?.map((parameter) => decodeParameter(parameter, frame.cfa, innermost, slot, memory)) ?? [],
  };
};
