import { join } from 'node:path';
import { openCapture } from '../../producers/memory/capture/capture.js';
import { ProcessImage } from '../../producers/memory/locate/process-image.js';
import { StackMemory } from '../../producers/memory/unwind/stack-memory.js';
import { unwind } from '../../producers/memory/unwind/unwind.js';
import type { FuzzTarget } from '../support/fuzz.js';
import { ROOT } from '../support/sources.js';

/** Real threads: their code stays, their stacks are what is mutated. */
const threads = ['arm64/c-O2.epoll', 'arm64/c-O2.futex', 'arm64/c-O2-static.recv', 'x86-64/stacks'].flatMap((name) => {
  const { threads: captured, image } = openCapture(join(ROOT, 'test/vectors', name));
  const process = new ProcessImage(image);
  return captured.flatMap(({ registers }) =>
    registers === null ? [] : [{ ...registers, process, bytes: image.memory(registers.sp, 4096) }],
  );
});

/** Stacks of garbage below real code: a bounded walk, upwards, that never throws. The first byte says whose. */
export const target: FuzzTarget = {
  seeds: () => threads.map(({ bytes }, i) => Buffer.concat([Buffer.from([i]), bytes])),
  maxBytes: 8 * 1024,
  run: (input) => {
    const { pc, sp, process } = threads[(input[0] ?? 0) % threads.length]!;
    const { frames } = unwind(process, pc, sp, new StackMemory({ address: sp, bytes: input.subarray(1) }));
    if (frames.length === 0 || frames.length > 1100) throw new Error(`${frames.length} frames`);
    let switches = 0;
    for (const [i, frame] of frames.entries()) if (i > 0 && !(frame.sp >= frames[i - 1]!.sp)) switches++;
    if (switches > 4) throw new Error('a stack that goes down again and again');
  },
};
