import type { Elf } from '../elf/elf.js';
import type { DebugInfo } from './debug-info.js';

/** Bytes of the target at a run-time address; fewer or none where it has none. */
export type MemoryReader = (address: number, length: number) => Buffer;

/** What describing needs of the file that holds a frame's code. */
export interface DescribedModule {
  readonly elf: Elf;
  /** Null without debug information. */
  readonly info: DebugInfo | null;
}

/** A physical frame as its values need it. Addresses without `bias` are link-time addresses. */
export interface FrameView {
  readonly module: DescribedModule;
  /** Where to look the code up: the pc itself, or inside of the call that is under way. */
  readonly vaddr: number;
  readonly pcVaddr: number;
  /** Run-time minus link-time address. */
  readonly bias: number;
  /** Canonical frame address, run-time; null unless certain. */
  readonly cfa: number | null;
  /** No call is under way: the pc itself is where the frame stands. */
  readonly innermost: boolean;
  readonly machine: 'x86-64' | 'arm64';
  /** What symbols call the function. */
  readonly names: readonly string[];
  /** The frame that called this one, if that is certain. */
  readonly caller: FrameView | null;
  /** A register's value in this frame by its DWARF number; null if not known. */
  register(number: number): bigint | null;
}
