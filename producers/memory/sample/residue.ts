import type { ProcessImage } from '../locate/process-image.js';
import { codeAt } from '../unwind/position.js';
import { NO_SLOTS } from '../unwind/register-slots.js';
import type { StackFrame } from '../unwind/stack-frame.js';
import { StackMemory } from '../unwind/stack-memory.js';
import { decisiveStep, isStep } from '../unwind/unwind-step.js';
import { describeFrames } from './frame-description.js';
import type { SeenFrame, Watch } from './look-result.js';
import type { ReadMemory } from './walker.js';

/** Bytes below the stack pointer that are looked through: the frames of calls that returned not long ago. */
export const RESIDUE_BYTES = 2048;
const MAX_RESIDUE = 16;

/**
 * Functions that calls returned to or from below SP: each word that follows a call inside a function's code was a return address
 * into that function. Nearest first, each function once. A hint of the recent past and never a fact: a word may be older than
 * the program's last loop, and a live function may have left it. `bytes` lie around SP: `below` of them, then the live stack.
 */
export const readResidue = (
  image: ProcessImage,
  watch: Watch,
  sp: number,
  bytes: Buffer,
  below: number,
  readMemory: ReadMemory,
): SeenFrame[] => {
  if (watch !== 'all' && watch.size === 0) return [];
  const base = sp - below;
  const stack = new StackMemory({ address: base, bytes });
  const memory = (address: number, length: number): Buffer => {
    const near = stack.bytes(address, length);
    return near.length === length ? near : readMemory(address, length);
  };
  const found: SeenFrame[] = [];
  const met = new Set<number>();
  for (let at = below - 8 - (sp % 8); at >= 0 && met.size < MAX_RESIDUE; at -= 8) {
    const high = bytes.readUInt32LE(at + 4);
    // User addresses have 47 bits, and no code lies in the lowest pages.
    if (high > 0x7fff) continue;
    const word = bytes.readUInt32LE(at) + high * 2 ** 32;
    if (word < 4096) continue;
    const code = codeAt(image, word, false);
    if (code === null || code.symbol === null || met.has(code.symbol.start)) continue;
    if (code.place.module.calls.endingAt(code.place.vaddr) === null) continue;
    met.add(code.symbol.start);
    const step = decisiveStep(
      image,
      stack,
      { pc: word, sp: base + at + 8, exact: false, slots: NO_SLOTS, foundBy: 'scan' },
      code,
    );
    const frame: StackFrame = {
      pc: word,
      lookup: word - 1,
      place: code.place,
      symbol: code.symbol,
      foundBy: 'scan',
      sizedBy: 'scan',
      sp: base + at + 8,
      cfa: isStep(step) ? step.cfa : 0,
      returnAddress: isStep(step) ? step.returnAddress : 0,
      registerSlots: NO_SLOTS,
    };
    for (const seen of describeFrames([frame], watch, stack, memory))
      if (watch === 'all' || (seen.function !== null && watch.has(seen.function))) found.push(seen);
  }
  return found.slice(0, MAX_RESIDUE);
};
