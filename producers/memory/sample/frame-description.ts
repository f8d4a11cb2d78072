import { isAttestreamError } from '../../../schemas/errors.js';
import { type DescribedFrame, describeFrame } from '../dwarf/describe.js';
import type { FrameView, MemoryReader } from '../dwarf/frame-view.js';
import { demangle } from '../elf/demangle.js';
import { functionName, means, withoutParameters } from '../elf/function-name.js';
import { architectureOf } from '../unwind/architectures.js';
import type { StackFrame } from '../unwind/stack-frame.js';
import type { StackMemory } from '../unwind/stack-memory.js';
import { concerns } from './concern.js';
import type { SeenFrame, Watch } from './look-result.js';

/** The registers, by DWARF number, that hold a system call's arguments, which the kernel leaves as they are. */
const SYSCALL_REGISTERS: Readonly<Record<FrameView['machine'], readonly number[]>> = {
  'x86-64': [5, 4, 1, 10, 8, 9],
  arm64: [0, 1, 2, 3, 4, 5],
};

/**
 * The frames of one stack as debug information tells them: functions, lines, values, and what was inlined. `passed`: arguments of the
 * system call that the innermost frame waits in.
 */
export const describeFrames = (
  frames: readonly StackFrame[],
  watch: Watch,
  stack: StackMemory,
  memory: MemoryReader,
  passed: (() => readonly string[]) | null = null,
): SeenFrame[] => {
  const seen: SeenFrame[] = [];
  const views: (FrameView | null)[] = new Array(frames.length);
  // The caller's view first: a frame's values may need it.
  for (let i = frames.length - 1; i >= 0; i--)
    views[i] = viewOf(frames[i]!, views[i + 1] ?? null, stack, i === 0 ? passed : null);
  for (let i = 0; i < frames.length; i++) tell(frames[i]!, views[i] ?? null, watch, memory, seen);
  return seen;
};

const NO_NAMES: readonly string[] = [];

const viewOf = (
  frame: StackFrame,
  next: FrameView | null,
  stack: StackMemory,
  passed: (() => readonly string[]) | null,
): FrameView | null => {
  const { place } = frame;
  const architecture = place === null ? null : architectureOf(place.module.elf.machine);
  if (place === null || architecture === null) return null;
  const { module, vaddr } = place;
  const cfa = frame.cfa === 0 ? null : frame.cfa;
  const lookup = vaddr - (frame.pc - frame.lookup);
  return {
    module,
    vaddr: lookup,
    pcVaddr: vaddr,
    bias: frame.pc - vaddr,
    cfa,
    innermost: frame.lookup === frame.pc,
    machine: architecture.name,
    names: frame.symbol?.names ?? NO_NAMES,
    // Behind an uncertain frame no caller is certain.
    caller: cfa === null ? null : next,
    register(number) {
      if (number === architecture.stackPointer) return frame.foundBy === 'scan' ? null : BigInt(frame.sp);
      const slot = frame.registerSlots.get(number);
      if (slot !== undefined) return stack.value(slot, 8);
      if (passed !== null) {
        const at = SYSCALL_REGISTERS[architecture.name].indexOf(number);
        const value = at < 0 ? undefined : passed()[at];
        if (value !== undefined) return BigInt(value);
      }
      if (number !== architecture.framePointer || cfa === null) return null;
      // Where the frame's extent is told by its frame pointer, the extent tells the frame pointer.
      const rule = module.cfi.at(lookup)?.cfa;
      return rule !== undefined && 'register' in rule && rule.register === number ? BigInt(cfa - rule.offset) : null;
    },
  };
};

const tell = (
  frame: StackFrame,
  view: FrameView | null,
  watch: Watch,
  memory: MemoryReader,
  seen: SeenFrame[],
): void => {
  const { place } = frame;
  const names = frame.symbol?.names ?? NO_NAMES;
  const watched = watch === 'all' ? undefined : names.find((name) => means(watch, name));
  const described =
    view === null || place === null || !concerns(place.module, watch)
      ? NOT_DESCRIBED
      : describe(view, memory, watch, watched !== undefined);
  for (const one of described) {
    const { function: name, linkageName, inlined } = one;
    // Of several names of one function the symbols tell the usual one: `poll`, not `__poll`.
    const told = inlined || watched === undefined ? undefined : nameWatched(watched, watch);
    const wanted =
      watch === 'all' ? undefined : watch.has(name) ? name : watch.has(linkageName) ? linkageName : undefined;
    const usual = name === '' || (!inlined && names.includes(name)) ? (names[0] ?? null) : name;
    seen.push(seenFrame(frame, told ?? wanted ?? usual, one));
  }
  if (described.length > 0) return;
  const symbol = names[0] === undefined ? null : functionName(watched ?? names[0]);
  const told = watched === undefined ? (symbol?.function ?? null) : nameWatched(watched, watch);
  seen.push(seenFrame(frame, told, { ...PLAIN, linkageName: symbol?.linkageName ?? '' }));
};

const NOT_DESCRIBED: readonly DescribedFrame[] = [];
const PLAIN = { file: '', line: 0, inlined: false, parameters: [] } as const;

/** One literal: frames are made by the dozen at every look, and copying objects into objects costs several times more. */
const seenFrame = (
  frame: StackFrame,
  name: string | null,
  one: Pick<DescribedFrame, 'linkageName' | 'file' | 'line' | 'inlined' | 'parameters'>,
): SeenFrame => ({
  pc: frame.pc,
  file: frame.place?.module.path ?? '',
  foundBy: frame.foundBy,
  sizedBy: frame.sizedBy,
  frameAddress: frame.cfa,
  returnAddress: frame.returnAddress,
  function: name,
  linkageName: one.linkageName,
  source: one.file,
  line: one.line,
  inlined: one.inlined,
  parameters: one.parameters,
});

/** A function that was asked for is called as it was asked for, whichever of its names that is: policies go by it. */
const nameWatched = (symbol: string, watch: Watch): string => {
  if (watch === 'all' || watch.has(symbol)) return symbol;
  const plain = demangle(symbol);
  return watch.has(plain) ? plain : withoutParameters(plain);
};

const describe = (view: FrameView, memory: MemoryReader, watch: Watch, named: boolean): readonly DescribedFrame[] => {
  try {
    return describeFrame(
      view,
      memory,
      ({ function: name, linkageName, inlined }) =>
        watch === 'all' || (named && !inlined) || watch.has(name) || watch.has(linkageName),
    ).frames;
  } catch (error) {
    // Damaged debug information tells nothing; what symbols and stack tell still holds.
    if (isAttestreamError(error)) return [];
    throw error;
  }
};
