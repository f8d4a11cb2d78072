import { syscallArguments } from '../locate/proc-files.js';
import { ProcessImage } from '../locate/process-image.js';
import { type ArchitectureName, HERE } from '../sample/architecture-name.js';
import type { LookResult, SeenThread, Watch } from '../sample/look-result.js';
import { nativeWalker } from '../sample/native-walker.js';
import { architectureOf } from '../unwind/architectures.js';
import type { Capture, CapturedThread } from './capture.js';

/** Stack bytes taken at once from SP on. */
const BLOCK = 64 * 1024;

const seen = (image: ProcessImage, capture: Capture, thread: CapturedThread, watch: Watch): SeenThread => {
  const { tid, name, registers } = thread;
  const head = { tid, name, at: capture.at, asBefore: false, ...thread.counters };
  const nothing = { complete: false, syscall: null, frames: [] };
  if (registers === null)
    return { ...head, outcome: thread.line.startsWith('running') ? 'running' : 'torn', ...nothing };
  const { pc, sp } = registers;
  const bytes = capture.image.memory(sp, BLOCK);
  const { frames, complete } = nativeWalker.walk(
    image,
    watch,
    { pc, sp, bytes, passed: () => syscallArguments(thread.line) },
    (from, length) => capture.image.memory(from, length),
  );
  const syscall = { number: registers.syscall, arguments: syscallArguments(thread.line) };
  return { ...head, outcome: 'sampled', complete, syscall, frames };
};

/** The instruction set of the captured code: all of a process is of one kind. */
const architectureOfImage = (image: ProcessImage): ArchitectureName => {
  for (const mapping of image.mappings) {
    const place = mapping.executable ? image.place(mapping.start) : null;
    const architecture = place === null ? null : architectureOf(place.module.elf.machine);
    if (architecture !== null) return architecture.name;
  }
  return HERE;
};

/** Decodes a capture as a look at the live process would have been. Times are real times. */
export const lookAtCapture = (capture: Capture, watch: Watch): LookResult => {
  const began = process.hrtime();
  const image = new ProcessImage(capture.image);
  try {
    const threads = capture.threads.map((thread) => seen(image, capture, thread, watch));
    const took = process.hrtime(began);
    return {
      pid: capture.pid,
      startTime: capture.startTime,
      from: capture.at,
      at: capture.at,
      replaced: false,
      gone: false,
      refused: '',
      threads,
      micros: Math.ceil(took[0] * 1e6 + took[1] / 1e3),
      bytesRead: 0,
      runtime: image.runtime,
      architecture: architectureOfImage(image),
      reopened: 0,
    };
  } finally {
    image.close();
  }
};
