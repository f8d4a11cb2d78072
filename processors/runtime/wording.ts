import { type Known, Opaque, Real, UNKNOWN } from '../../schemas/policy/value.js';
import type { Configuration, Machine } from './machine/machine.js';

/** Longest text of one argument in a sentence. */
const LONGEST = 40;

const valueText = (value: Known): string => {
  if (value === UNKNOWN) return '?';
  if (value instanceof Real) return String(value.value);
  if (value instanceof Opaque) return `#${value.hash.slice(0, 8)}`;
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
};

/** A call as people write it: `actuate(level=95, valve=?)`. */
export const callText = (
  call: { readonly function: string; readonly args: readonly (Known | undefined)[] },
  parameters: readonly string[],
): string => {
  const args = call.args.flatMap((value, i) => (value === undefined ? [] : [`${parameters[i]}=${valueText(value)}`]));
  return `${call.function}(${args.join(', ')})`;
};

/** States that the given hypotheses may be in, each once, sorted. */
export const describeBelief = (
  machine: Machine,
  hypotheses: readonly { readonly configuration: Configuration }[],
): readonly string[] => [...new Set(hypotheses.map(({ configuration }) => machine.describe(configuration)))].sort();
