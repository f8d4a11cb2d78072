import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import { didYouMean } from '../suggest.js';
import { scopeOf } from './cel/scope.js';
import { checkIsJson, isRecord, parseDocumentText } from './document.js';
import { checkMachine } from './machine-config.js';
import { refusedName } from './names.js';
import type { MachineConfig, Policy } from './policy.js';
import { type Path, Problems } from './problems.js';
import { readGlobals, readSyscalls } from './released.js';
import { checkKeys, readAssumptions, readDuration, readFunctions, readSlice, readVariables } from './rules.js';

/** What a policy holds beside what it says. */
export const DEFAULTS = {
  binary: 'any',
  unexpected: 'violation',
  openAtExit: 'ignore',
  onFork: 'copy',
  stop: 'never',
  threadNames: 'none',
  maxSlices: 10_000,
  doubtAbove: 50_000,
  lateness: { within: 10_000_000, events: 256, beyond: 'list' },
} as const;

export const POLICY_KEYS = [
  'id',
  'description',
  'binary',
  'image',
  'functions',
  'machine',
  'unexpected',
  'afterViolation',
  'openAtExit',
  'onFork',
  'slice',
  'maxSlices',
  'lateness',
  'doubtAbove',
  'stop',
  'globals',
  'syscalls',
  'threadNames',
  'assume',
] as const;

type Keys = Readonly<Record<string, unknown>>;

/** A policy from YAML or JSON. Throws POLICY_INVALID, which lists everything that is wrong, with line and column. */
export const parsePolicy = (text: string, file: string): Policy => {
  const { document, locate } = parseDocumentText(text, file);
  return read(document, file, locate);
};

/** A policy from data, as `defineProcess` gives it. Throws POLICY_INVALID, which lists everything that is wrong. */
export const policyFromDocument = (document: unknown, file: string): Policy => read(document, file, () => undefined);

/** `sha256:HEX` over RFC 8785 of a document: the name of a policy. */
export const policyDigest = (document: unknown): string =>
  `sha256:${createHash('sha256')
    .update(canonicalize(document) ?? '')
    .digest('hex')}`;

const read = (document: unknown, file: string, locate: (path: Path) => string | undefined): Policy => {
  const problems = new Problems(file, locate);
  checkIsJson(document, problems);
  problems.throwIfAny();
  if (!isRecord(document)) {
    problems.add([], 'not a mapping', 'a policy begins with "id:"');
    problems.throwIfAny();
  }
  const keys = document as Keys;
  checkKeys(keys, POLICY_KEYS, [], problems);
  for (const key of ['id', 'functions', 'machine'])
    if (keys[key] === undefined && !Object.hasOwn(keys, key))
      problems.add([key], 'is missing', 'every policy has id, functions and machine');

  const functions = readFunctions(keys['functions'], ['functions'], problems);
  const names = new Set<string>();
  for (const { parameters } of functions.values()) for (const name of parameters.keys()) names.add(name);
  const parameterNames = [...names].sort();
  const context = isRecord(keys['machine']) ? keys['machine']['context'] : undefined;
  const variables = readVariables(context, ['machine', 'context'], problems);
  const scope = scopeOf({ functions, parameterNames, variables });
  const machine =
    keys['machine'] === undefined
      ? undefined
      : checkMachine(keys['machine'], ['machine'], { functions, variables, scope }, problems);

  const policy = {
    digest: policyDigest(keys),
    document: keys,
    id: readWord(keys, 'id', '', problems),
    binary: readWord(keys, 'binary', DEFAULTS.binary, problems),
    image: keys['image'] === undefined || keys['image'] === null ? null : readWord(keys, 'image', '', problems),
    functions,
    parameterNames,
    machine: machine as MachineConfig,
    variables,
    unexpected: choice(keys, 'unexpected', ['violation', 'ignore'], DEFAULTS.unexpected, problems),
    afterViolation: choice(keys, 'afterViolation', ['latch', 'stay', 'reset'], null, problems),
    openAtExit: choice(keys, 'openAtExit', ['ignore', 'violation'], DEFAULTS.openAtExit, problems),
    onFork: choice(keys, 'onFork', ['copy', 'fresh', 'ignore'], DEFAULTS.onFork, problems),
    slice: readSlice(keys['slice'], ['slice'], functions, problems),
    maxSlices: readCount(keys['maxSlices'], ['maxSlices'], DEFAULTS.maxSlices, 1_000_000, problems),
    lateness: readLateness(keys['lateness'], problems),
    doubtAbove: readShare(keys['doubtAbove'], problems),
    stop: choice(keys, 'stop', ['never', 'allowed'], DEFAULTS.stop, problems),
    globals: readGlobals(keys['globals'], ['globals'], problems),
    syscalls: readSyscalls(keys['syscalls'], ['syscalls'], problems),
    threadNames: choice(keys, 'threadNames', ['none', 'hash', 'clear'], DEFAULTS.threadNames, problems),
    assume: readAssumptions(keys['assume'], ['assume'], functions, problems),
  };
  if (keys['description'] !== undefined && typeof keys['description'] !== 'string')
    problems.add(['description'], 'not a text');
  problems.throwIfAny();
  return policy;
};

const readWord = (keys: Keys, key: string, absent: string, problems: Problems): string => {
  const value = keys[key];
  if (value === undefined) return absent;
  if (typeof value !== 'string') problems.add([key], 'not a text', 'write it in quotes');
  else {
    const refused = refusedName(value);
    if (refused !== undefined) problems.add([key], refused);
  }
  return String(value);
};

const choice = <W extends string, A extends W | null>(
  keys: Keys,
  key: string,
  words: readonly W[],
  absent: A,
  problems: Problems,
  path: Path = [key],
): W | A => {
  const value = keys[key];
  if (value === undefined) return absent;
  const found = words.find((word) => word === value);
  if (found !== undefined) return found;
  problems.add(
    path,
    `${JSON.stringify(value)} is none of ${words.join(', ')}`,
    typeof value === 'string' ? didYouMean(value, words) : '',
  );
  return absent;
};

const readCount = (value: unknown, path: Path, absent: number, most: number, problems: Problems): number => {
  if (value === undefined) return absent;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most) return value;
  problems.add(path, `not a whole number from 1 to ${most}`);
  return absent;
};

const readLateness = (value: unknown, problems: Problems): Policy['lateness'] => {
  if (value === undefined || value === null) return DEFAULTS.lateness;
  if (!isRecord(value)) {
    problems.add(['lateness'], 'not a mapping', 'write {within: 10s, beyond: list}');
    return DEFAULTS.lateness;
  }
  checkKeys(value, ['within', 'events', 'beyond'], ['lateness'], problems);
  const { within, events, beyond } = DEFAULTS.lateness;
  return {
    within: value['within'] === undefined ? within : readDuration(value['within'], ['lateness', 'within'], problems),
    events: readCount(value['events'], ['lateness', 'events'], events, 10_000_000, problems),
    beyond: choice(value, 'beyond', ['list', 'revise', 'count'], beyond, problems, ['lateness', 'beyond']),
  };
};

/** A share from 0 to 1 as parts per million, rounded once. */
const readShare = (value: unknown, problems: Problems): number => {
  if (value === undefined) return DEFAULTS.doubtAbove;
  if (typeof value === 'number' && value >= 0 && value <= 1) return Math.round(value * 1_000_000);
  problems.add(['doubtAbove'], 'not a share from 0 to 1', 'write 0.05 for five in a hundred');
  return DEFAULTS.doubtAbove;
};
