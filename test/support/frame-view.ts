import { DebugInfo } from '../../producers/memory/dwarf/debug-info.js';
import { type DescribedFrame, describeFrame } from '../../producers/memory/dwarf/describe.js';
import type { FrameView, MemoryReader } from '../../producers/memory/dwarf/frame-view.js';
import type { Elf } from '../../producers/memory/elf/elf.js';

/** A frame that stands at a link-time address, without a process behind it. */
export const frameView = (elf: Elf, vaddr: number, more: Partial<FrameView> = {}): FrameView => ({
  module: { elf, info: new DebugInfo(elf) },
  vaddr,
  pcVaddr: vaddr + 1,
  bias: 0,
  cfa: 0x7fff_0000_1000,
  innermost: false,
  machine: 'x86-64',
  names: [],
  caller: null,
  register: () => null,
  ...more,
});

/** Memory that reads as one byte everywhere. */
export const filledMemory =
  (byte: number): MemoryReader =>
  (_address, length) =>
    Buffer.alloc(length, byte);

export const describeAt = (
  elf: Elf,
  vaddr: number,
  more: Partial<FrameView> = {},
  memory = filledMemory(1),
): readonly DescribedFrame[] => describeFrame(frameView(elf, vaddr, more), memory).frames;
