import type { Frame, Look, ThreadLook } from '../../../schemas/records.js';
import type { LookResult, SeenFrame, SeenThread } from '../sample/look-result.js';
import { syscallName } from '../sample/syscall-names.js';
import type { Release } from './release.js';

const frameRecord = (frame: SeenFrame, foundBy: string, release: Release): Frame => ({
  function: frame.function ?? '?',
  alternatives: [],
  foundBy,
  address: frame.frameAddress,
  returnAddress: frame.returnAddress,
  parameters: frame.function === null ? [] : release.apply(frame.function, frame.parameters),
});

const threadRecord = (thread: SeenThread, offset: number, release: Release): ThreadLook => {
  const { syscall, asBefore } = thread;
  const inside = syscall !== null && syscall.number >= 0;
  return {
    tid: thread.tid,
    name: release.threadName(thread.name),
    at: thread.at + offset,
    outcome: thread.outcome,
    runTime: thread.runTime,
    slices: thread.slices,
    complete: thread.complete,
    asBefore,
    syscall: inside ? syscall.number : null,
    frames: asBefore ? [] : thread.frames.map((frame) => frameRecord(frame, frame.foundBy, release)),
    arguments: inside && !asBefore ? release.syscall(syscallName(syscall.number), syscall.arguments) : [],
    residue: asBefore ? [] : (thread.residue ?? []).map((frame) => frameRecord(frame, 'residue', release)),
  };
};

/** A look as the event that leaves the host. `offset` takes CLOCK_BOOTTIME to event time. */
export const lookRecord = (look: LookResult, offset: number, release: Release): Omit<Look, 'stream' | 'seq'> => ({
  at: look.at + offset,
  notBefore: look.from + offset,
  process: `${look.pid}:${look.startTime}`,
  threads: look.threads.map((thread) => threadRecord(thread, offset, release)),
  micros: look.micros,
  bytesRead: look.bytesRead,
  stopped: look.stopped ?? false,
  globals: release.globals(look.globals ?? []),
});
