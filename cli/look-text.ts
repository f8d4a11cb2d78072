import type { LookResult, SeenFrame } from '../producers/memory/sample/look.js';
import { printable } from './printable.js';

const frameText = (frame: SeenFrame, index: number): string => {
  const values = frame.parameters.map(
    ({ name, value, unavailable }) => `${name}=${unavailable === '' ? String(value) : `(${unavailable})`}`,
  );
  const name = frame.function ?? `0x${frame.pc.toString(16)}`;
  return `  #${index} ${printable(`${name}(${values.join(', ')})`)}  ${printable(frame.file)}  ${frame.foundBy}`;
};

/** A look as people read it. */
export const lookText = (look: LookResult): string =>
  [
    `process ${look.pid}:${look.startTime}  ${look.micros} µs, ${look.bytesRead} bytes`,
    // The stacks are those of what runs the program, not of the program.
    ...(look.runtime === 'native' ? [] : [`runtime: ${look.runtime}`]),
    ...look.threads.flatMap((thread) => [
      `thread ${thread.tid} ${printable(thread.name)}: ${thread.outcome}`,
      ...thread.frames.map(frameText),
    ]),
  ].join('\n');
