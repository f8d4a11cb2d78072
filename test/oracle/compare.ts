import { basename } from 'node:path';
import type { DecodedParameter, ParameterValue } from '../../producers/memory/dwarf/values.js';
import type { SeenFrame, SeenThread } from '../../producers/memory/sample/look-result.js';
import type { TrueFrame, TrueValue } from './truth.js';

export interface Comparison {
  /** Frames told decisively. */
  frames: number;
  /** Threads whose stack was not followed to its root. */
  incomplete: number;
  threads: number;
  values: number;
  unavailable: number;
  /** There is a value, and gdb has none to compare it with. */
  unconfirmed: number;
  /** gdb has a value and we do not. */
  missed: number;
  readonly wrongFrames: string[];
  /** Names and lines that are not gdb's, of the program's own frames. */
  readonly otherNames: string[];
  readonly wrongValues: string[];
  readonly reasons: Map<string, number>;
  readonly unconfirmedList: string[];
  readonly missedList: string[];
}

export const newComparison = (): Comparison => ({
  frames: 0,
  incomplete: 0,
  threads: 0,
  values: 0,
  unavailable: 0,
  unconfirmed: 0,
  missed: 0,
  wrongFrames: [],
  otherNames: [],
  wrongValues: [],
  reasons: new Map(),
  unconfirmedList: [],
  missedList: [],
});

/** Adds one thread: ours against gdb's. `program` is the file whose names and lines must agree in full. */
export const compareThread = (
  ours: SeenThread,
  theirs: readonly TrueFrame[],
  program: string,
  comparison: Comparison,
): void => {
  comparison.threads++;
  if (!ours.complete) comparison.incomplete++;
  const decisive = ours.frames.findIndex(({ foundBy }) => foundBy === 'scan');
  const frames = decisive < 0 ? ours.frames : ours.frames.slice(0, decisive);
  const innermost = frames[0]?.pc;
  for (const [i, frame] of frames.entries()) {
    const truth = theirs[i];
    const where = `thread ${ours.name} #${i}`;
    // Without call frame information gdb goes astray: what it says from there on is not the truth.
    if (truth !== undefined && truth.name === null && Number(truth.pc) < 4096) break;
    if (truth === undefined) {
      // gdb stops where it knows no further; what we say beyond that it cannot confirm.
      if (i < theirs.length || theirs.length === 0) comparison.wrongFrames.push(`${where}: gdb has no such frame`);
      break;
    }
    const problem = frameProblem(frame, truth, frame.pc === innermost);
    if (problem !== '') {
      comparison.wrongFrames.push(`${where}: ${problem}`);
      return;
    }
    const other = frame.file === program ? nameProblem(frame, truth, frame.pc === innermost) : '';
    if (other !== '') comparison.otherNames.push(`${where}: ${other}`);
    comparison.frames++;
    compareArguments(frame, truth, where, comparison);
  }
  if (ours.complete && frames.length < theirs.length)
    comparison.wrongFrames.push(`thread ${ours.name}: ends after ${frames.length} of gdb's ${theirs.length} frames`);
};

const tell = (ours: SeenFrame, truth: TrueFrame): string =>
  `${ours.function} ${ours.source}:${ours.line} at 0x${ours.pc.toString(16)}, gdb: ${truth.name} ${truth.file}:${truth.line} at ${truth.pc} (${truth.kind})`;

const frameProblem = (ours: SeenFrame, truth: TrueFrame, innermost: boolean): string => {
  const pc = Number(truth.pc);
  // A stop by ptrace takes a system call that is to be restarted back by its instruction.
  if (ours.pc !== pc && !(innermost && ours.pc === pc + 2)) return `another address: ${tell(ours, truth)}`;
  return ours.inlined === (truth.kind === 'inline') ? '' : `inlined or not: ${tell(ours, truth)}`;
};

/** gdb leaves parameters in names that it cannot take apart. */
const withoutList = (name: string): string => name.replace(/>\([^()]*\)$/, '>').replace(/\(void\)$/, '');

/** Names that differ only by how the C library binds its own. */
const libraryName = (name: string): string => name.replace(/^_+(GI_+|libc_+)?/, '').replace(/_impl$/, '');

const nameProblem = (ours: SeenFrame, truth: TrueFrame, innermost: boolean): string => {
  if (truth.name === null || truth.kind === 'signal') return '';
  // Without debug information gdb takes any of the symbols at the address.
  const named =
    ours.line > 0
      ? ours.function === withoutList(truth.name)
      : truth.file === null || libraryName(ours.function ?? '') === libraryName(truth.name);
  if (!named) return `another name: ${tell(ours, truth)}`;
  if (truth.file === null || truth.line === 0 || (innermost && ours.pc !== Number(truth.pc))) return '';
  return basename(truth.file) === basename(ours.source) && truth.line === ours.line
    ? ''
    : `another line: ${tell(ours, truth)}`;
};

const compareArguments = (ours: SeenFrame, truth: TrueFrame, where: string, comparison: Comparison): void => {
  if (ours.line === 0 && ours.parameters.length === 0) return;
  for (const [i, argument] of truth.arguments.entries()) {
    const parameter =
      ours.parameters.find(({ name }) => name === argument.name) ??
      (argument.name === '' ? ours.parameters[i] : undefined);
    const place = `${where} ${ours.function}(${argument.name})`;
    if (parameter === undefined) {
      comparison.wrongValues.push(`${place}: not listed`);
      continue;
    }
    compareValue(parameter, argument.current, argument.entry, place, comparison);
  }
};

const compareValue = (
  parameter: DecodedParameter,
  current: TrueValue,
  entry: TrueValue,
  place: string,
  comparison: Comparison,
): void => {
  if (parameter.value === null) {
    comparison.unavailable++;
    if (current.none === undefined) {
      comparison.missed++;
      comparison.missedList.push(`${place}: ${parameter.unavailable} (${parameter.location})`);
    }
    const why = parameter.unavailable.replace(/0x[0-9a-f]+|\d+/g, 'N');
    comparison.reasons.set(why, (comparison.reasons.get(why) ?? 0) + 1);
    return;
  }
  comparison.values++;
  const candidates = parameter.valueKind === 'entry' ? [entry, current] : [current];
  const known = candidates.filter((one) => one.none === undefined);
  if (known.length === 0) {
    comparison.unconfirmed++;
    comparison.unconfirmedList.push(
      `${place} = ${show(parameter.value)} (${parameter.valueKind}, ${parameter.location}); gdb: ${current.none} / ${entry.none}`,
    );
    return;
  }
  // An entry value is compared with gdb's; where that has none, what is there now may still be it.
  if (same(parameter.value, parameter.number, known[0]!)) return;
  comparison.wrongValues.push(
    `${place} = ${show(parameter.value)} (${parameter.valueKind}, ${parameter.location}); gdb: ${JSON.stringify(current)} at entry ${JSON.stringify(entry)}`,
  );
};

/** Values that do not depend on where things lie, by `function(argument)`; undefined for those that differ from call to call. */
export type KnownValues = Map<string, TrueValue | undefined>;

/** What gdb told of one build holds for all builds of the same source. */
export const addKnown = (theirs: readonly TrueFrame[], known: KnownValues): void => {
  for (const { name, arguments: all } of theirs)
    for (const { name: argument, current } of all) {
      const key = `${name}(${argument})`;
      const fixed = current.none === undefined && (current.pointer === undefined || current.text != null);
      known.set(key, known.has(key) || !fixed || !fixedWithin(current) ? undefined : current);
    }
};

const fixedWithin = (value: TrueValue): boolean =>
  (value.members ?? []).every(
    ([, member]) =>
      member.none === undefined && (member.pointer === undefined || member.text != null) && fixedWithin(member),
  ) && (value.elements ?? []).every(fixedWithin);

/** Where gdb finds no way through the stack: values against those of another build. Gives how many frames were of the program. */
export const compareKnown = (ours: SeenThread, program: string, known: KnownValues, comparison: Comparison): number => {
  const own = ours.frames.filter(({ file, line }) => file === program && line > 0);
  for (const frame of own)
    for (const parameter of frame.parameters) {
      const truth = known.get(`${frame.function}(${parameter.name})`);
      if (truth === undefined) continue;
      if (parameter.value === null) comparison.unavailable++;
      else {
        comparison.values++;
        if (!same(parameter.value, parameter.number, truth))
          comparison.wrongValues.push(
            `${frame.function}(${parameter.name}) = ${show(parameter.value)}; known: ${JSON.stringify(truth)}`,
          );
      }
    }
  return own.length;
};

const show = (value: ParameterValue): string =>
  JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? part.toString() : part));

const names = (text: string): string[] =>
  text
    .replace(/^\((.*)\)$/, '$1')
    .split(' | ')
    .map((part) => part.trim().split('::').at(-1)!)
    .sort();

/** Our value is gdb's. A null within a structure claims nothing. */
const same = (value: ParameterValue, number: number | bigint | null, truth: TrueValue): boolean => {
  if (value === null || truth.none === 'incomplete') return true;
  if (truth.none !== undefined) return false;
  if (truth.integer !== undefined) {
    if (number !== null && number.toString() !== truth.integer) return false;
    if (typeof value === 'boolean') return (value ? '1' : '0') === truth.integer;
    if (typeof value === 'string') return truth.name !== undefined && names(value).join() === names(truth.name).join();
    return typeof value !== 'object' && value.toString() === truth.integer;
  }
  if (truth.float !== undefined) {
    const float = Number(truth.float.replace('inf', 'Infinity').replace('nan', 'NaN'));
    return Object.is(Number(value), float);
  }
  if (truth.pointer !== undefined)
    return truth.text === undefined || (typeof value === 'string' && value === truth.pointer)
      ? value === truth.pointer
      : typeof value === 'string' && sameText(value, truth.text);
  if (truth.text !== undefined) return typeof value === 'string' && sameText(value, truth.text);
  if (truth.elements !== undefined) {
    if (typeof value === 'string') return sameText(value, charactersOf(truth.elements));
    if (!Array.isArray(value)) return false;
    const shown = value.at(-1) === '…' ? value.slice(0, -1) : value;
    return shown.every(
      (part: ParameterValue, i) => truth.elements![i] !== undefined && same(part, null, truth.elements![i]!),
    );
  }
  if (truth.members === undefined) return false;
  return sameMembers(value, truth);
};

const sameText = (ours: string, theirs: string | null): boolean =>
  theirs !== null && (ours.endsWith('…') ? theirs.startsWith(ours.slice(0, -1)) : ours === theirs);

const charactersOf = (elements: readonly TrueValue[]): string => {
  const codes = elements.map(({ integer }) => Number(integer ?? 0) & 0xff);
  const end = codes.indexOf(0);
  return Buffer.from(end < 0 ? codes : codes.slice(0, end)).toString('utf8');
};

const sameMembers = (value: ParameterValue, truth: TrueValue): boolean => {
  const members = truth.members!;
  const variant = /::(\w+)([({].*)?$/s.exec((truth.shown ?? '').replace(/<[^<>]*(<[^<>]*>)?[^<>]*>/g, ''));
  if (typeof value === 'string') return variant !== null && variant[1] === value && variant[2] === undefined;
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value))
    return value.every((part: ParameterValue, i) => members[i] !== undefined && same(part, null, members[i]![1]));
  const object = value as { readonly [name: string]: ParameterValue };
  const keys = Object.keys(object);
  if (keys.length === 1 && members.every(([name]) => name !== keys[0]) && variant !== null)
    return variant[1] === keys[0] && variantText(object[keys[0]!]!) === (variant[2] ?? '').replace(/\s+/g, ' ');
  return members.every(([name, member]) =>
    name === null || name === '' ? same(object, null, member) : !(name in object) || same(object[name]!, null, member),
  );
};

/** As gdb writes the fields of a Rust variant. */
const variantText = (fields: ParameterValue): string => {
  if (Array.isArray(fields)) return `(${fields.map(String).join(', ')})`;
  if (typeof fields !== 'object' || fields === null) return `(${String(fields)})`;
  return `{${Object.entries(fields)
    .map(([name, field]) => `${name}: ${String(field)}`)
    .join(', ')}}`;
};
