import type { DecodedParameter, ParameterValue } from '../dwarf/values.js';
import { NATIVE } from '../locate/runtime.js';
import type { LookResult, SeenFrame, SeenThread } from './look-result.js';
import { syscallName } from './syscall-names.js';

const hex = (address: number): string => `0x${address.toString(16)}`;

/** Numbers stay numbers while JSON readers keep them exactly; what has no number in JSON becomes text. */
const plain = (value: ParameterValue): unknown => {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]));
};

const parameterJson = (parameter: DecodedParameter): object => ({
  name: parameter.name,
  type: parameter.type,
  value: plain(parameter.value),
  valueKind: parameter.valueKind,
  location: parameter.location === '' ? null : parameter.location,
  unavailable: parameter.unavailable === '' ? null : parameter.unavailable,
});

/** The innermost frame comes from the registers: what had to be found is its extent. */
const foundBy = (frame: SeenFrame, index: number, complete: boolean): string =>
  index > 0 ? frame.foundBy : (frame.sizedBy ?? (complete ? 'cfi' : 'scan'));

const threadJson = (thread: SeenThread, look: LookResult): object => ({
  tid: thread.tid,
  name: thread.name,
  outcome: thread.outcome,
  complete: thread.complete,
  runTime: thread.runTime,
  slices: thread.slices,
  syscall:
    thread.syscall === null || thread.syscall.number < 0
      ? null
      : {
          number: thread.syscall.number,
          name: syscallName(thread.syscall.number, look.architecture),
          arguments: thread.syscall.arguments,
        },
  frames: thread.frames.map((frame, index) => ({
    index,
    address: hex(frame.pc),
    function: frame.function,
    linkageName: frame.linkageName === '' ? null : frame.linkageName,
    runtime: frame.file === '' && look.runtime !== NATIVE ? look.runtime : NATIVE,
    file: frame.source === '' ? null : frame.source,
    line: frame.line === 0 ? null : frame.line,
    inlined: frame.inlined,
    foundBy: foundBy(frame, index, thread.complete),
    module: frame.file === '' ? null : frame.file,
    frameAddress: frame.frameAddress === 0 ? null : hex(frame.frameAddress),
    parameters: frame.parameters.map(parameterJson),
  })),
  residue: (thread.residue ?? []).map((frame) => ({
    address: hex(frame.pc),
    function: frame.function,
    file: frame.source === '' ? null : frame.source,
    line: frame.line === 0 ? null : frame.line,
    module: frame.file === '' ? null : frame.file,
    foundBy: 'residue',
    parameters: frame.parameters.map(parameterJson),
  })),
});

/**
 * One look as the object that `look --output json` prints on a line. `offset` (µs) takes CLOCK_BOOTTIME to real time.
 * Addresses and pointers are "0x…", integers beyond 2^53 decimal strings.
 */
export const lookJson = (look: LookResult, offset: number): object => ({
  at: look.at + offset,
  pid: look.pid,
  startTime: look.startTime,
  gone: look.gone,
  refused: look.refused === '' ? null : look.refused,
  stopped: look.stopped ?? false,
  runtime: look.runtime,
  architecture: look.architecture,
  threads: look.threads.map((thread) => threadJson(thread, look)),
  globals: (look.globals ?? []).map(parameterJson),
  cost: { micros: look.micros, bytesRead: look.bytesRead },
});
