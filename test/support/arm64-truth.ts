import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ParameterValue } from '../../producers/memory/dwarf/values.js';
import { ROOT } from './sources.js';

/** Processes of an arm64 machine, and what gdb said of them: see test/vectors/README.md. */
export const ARM64_VECTORS = join(ROOT, 'test/vectors/arm64');

export interface TrueFrame {
  readonly pc: string;
  readonly func: string;
  readonly file: string | null;
  readonly line: number | null;
  /** Absent where gdb was not asked. */
  readonly kind?: 'normal' | 'inline' | 'tailcall';
  readonly cfa?: string;
  readonly saved?: Readonly<Record<string, string>>;
  readonly args: readonly (readonly [name: string, value: string])[];
}

export interface TrueThread {
  readonly syscall: string;
  readonly frames: readonly TrueFrame[];
}

export const truthOf = (name: string): Readonly<Record<string, TrueThread>> =>
  JSON.parse(readFileSync(join(ARM64_VECTORS, name, 'truth.json'), 'utf8'));

/** gdb's frames that are frames on the stack; without their kind, one after another with the same pc is an inlined one. */
export const physical = (frames: readonly TrueFrame[]): TrueFrame[] =>
  frames.filter((frame, i) => {
    if (frame.kind !== undefined) return frame.kind === 'normal';
    return frames[i + 1]?.pc !== frame.pc;
  });

/** A value as gdb writes it. */
export const asGdb = (value: ParameterValue): string => {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return `{${Object.entries(value)
      .map(([member, held]) => `${member} = ${asGdb(held)}`)
      .join(', ')}}`;
  return typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean'
    ? String(value)
    : `${value}`;
};
