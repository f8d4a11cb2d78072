import type { ParameterValue } from '../producers/memory/dwarf/values.js';
import type { LookResult, SeenFrame } from '../producers/memory/sample/look-result.js';
import { printable } from './printable.js';

/** Structures as JSON; integers in full. */
const valueText = (value: ParameterValue): string =>
  typeof value === 'object' && value !== null
    ? JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? part.toString() : part))
    : String(value);

const frameText = (frame: SeenFrame, index: number): string => {
  const values = frame.parameters.map(
    ({ name, value, unavailable }) => `${name}=${unavailable === '' ? valueText(value) : `(${unavailable})`}`,
  );
  const name = frame.function ?? `0x${frame.pc.toString(16)}`;
  const place = frame.source === '' ? frame.file : `${frame.source}${frame.line === 0 ? '' : `:${frame.line}`}`;
  const how = frame.inlined ? `${frame.foundBy}, inlined` : frame.foundBy;
  return `  #${index} ${printable(`${name}(${values.join(', ')})`)}  ${printable(place)}  ${how}`;
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
