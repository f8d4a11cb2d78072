import type { CharacterSet } from './character-set.js';
import { type Regex, RegexRefused } from './syntax.js';

/** One instruction; `to` and `or` are places in the program. */
export type Instruction =
  | { readonly op: 'set'; readonly set: CharacterSet }
  | { readonly op: 'begin' | 'end' | 'very-end' }
  | { readonly op: 'split'; readonly to: number; readonly or: number }
  | { readonly op: 'jump'; readonly to: number }
  | { readonly op: 'match' };

/** Most instructions of one expression: matching costs their number times the length of the text. */
export const MAX_INSTRUCTIONS = 4000;

/** Instructions that an expression takes, counted before any is made. */
const sizeOf = (regex: Regex): number => {
  switch (regex.kind) {
    case 'sequence':
      return regex.parts.reduce((sum, part) => sum + sizeOf(part), 0);
    case 'either':
      return regex.branches.reduce((sum, branch) => sum + sizeOf(branch) + 2, 0);
    case 'repeat': {
      const { body, least, most } = regex;
      const copies = Number.isFinite(most) ? most : least + 1;
      return Math.max(1, copies) * (sizeOf(body) + 2);
    }
    default:
      return 1;
  }
};

/** Thompson's construction (Communications of the ACM 11:6, 1968). Throws RegexRefused for what becomes too large. */
export const compileRegex = (regex: Regex): readonly Instruction[] => {
  if (sizeOf(regex) > MAX_INSTRUCTIONS)
    throw new RegexRefused(`written out, more than ${MAX_INSTRUCTIONS} steps: it repeats too much`);
  const program: Instruction[] = [];
  emit(regex, program);
  program.push({ op: 'match' });
  return program;
};

const emit = (regex: Regex, program: Instruction[]): void => {
  switch (regex.kind) {
    case 'set':
      program.push({ op: 'set', set: regex.set });
      return;
    case 'sequence':
      for (const part of regex.parts) emit(part, program);
      return;
    case 'either':
      emitBranches(regex.branches, program);
      return;
    case 'repeat':
      emitRepeat(regex, program);
      return;
    default:
      program.push({ op: regex.kind });
  }
};

const emitBranches = (branches: readonly Regex[], program: Instruction[]): void => {
  const ends: number[] = [];
  for (const [i, branch] of branches.entries()) {
    const split = program.length;
    const isLast = i === branches.length - 1;
    if (!isLast) program.push({ op: 'jump', to: 0 });
    emit(branch, program);
    if (isLast) break;
    ends.push(program.length);
    program.push({ op: 'jump', to: 0 });
    program[split] = { op: 'split', to: split + 1, or: program.length };
  }
  for (const end of ends) program[end] = { op: 'jump', to: program.length };
};

const emitRepeat = ({ body, least, most }: Extract<Regex, { kind: 'repeat' }>, program: Instruction[]): void => {
  for (let i = 0; i < least; i++) emit(body, program);
  if (!Number.isFinite(most)) {
    const split = program.length;
    program.push({ op: 'jump', to: 0 });
    emit(body, program);
    program.push({ op: 'jump', to: split });
    program[split] = { op: 'split', to: split + 1, or: program.length };
    return;
  }
  const splits: number[] = [];
  for (let i = least; i < most; i++) {
    splits.push(program.length);
    program.push({ op: 'jump', to: 0 });
    emit(body, program);
  }
  for (const split of splits) program[split] = { op: 'split', to: split + 1, or: program.length };
};
