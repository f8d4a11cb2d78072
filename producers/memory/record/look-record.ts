import type { Look, ThreadLook } from '../../../schemas/records.js';
import type { LookResult, SeenThread } from '../sample/look.js';
import type { Release } from './release.js';

const threadRecord = (thread: SeenThread, offset: number, release: Release): ThreadLook => ({
  tid: thread.tid,
  name: thread.name,
  at: thread.at + offset,
  outcome: thread.outcome,
  runTime: thread.runTime,
  slices: thread.slices,
  complete: thread.complete,
  asBefore: thread.asBefore,
  syscall: thread.syscall === null || thread.syscall.number < 0 ? null : thread.syscall.number,
  frames: thread.asBefore
    ? []
    : thread.frames.map((frame) => ({
        function: frame.function ?? '?',
        alternatives: [],
        foundBy: frame.foundBy,
        address: frame.frameAddress,
        returnAddress: frame.returnAddress,
        parameters: frame.function === null ? [] : release.apply(frame.function, frame.parameters),
      })),
});

/** A look as the event that leaves the host. `offset` takes CLOCK_BOOTTIME to event time. */
export const lookRecord = (look: LookResult, offset: number, release: Release): Omit<Look, 'stream' | 'seq'> => ({
  at: look.at + offset,
  notBefore: look.from + offset,
  process: `${look.pid}:${look.startTime}`,
  threads: look.threads.map((thread) => threadRecord(thread, offset, release)),
  micros: look.micros,
  bytesRead: look.bytesRead,
});
