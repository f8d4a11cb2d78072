import { didYouMean } from '../suggest.js';
import { isRecord } from './document.js';
import { parseDuration } from './duration.js';
import { refusedEventName, refusedName } from './names.js';
import type { Assumptions, FunctionRule, ParameterRule, Policy, SliceRule } from './policy.js';
import type { Path, Problems } from './problems.js';
import { Real, type ScalarType, type Value } from './value.js';

const TYPES: readonly string[] = ['int', 'uint', 'double', 'bool', 'string', 'enum', 'dyn'];
const RELEASES: readonly string[] = ['clear', 'hash', 'none'];
const MAX_FUNCTIONS = 4096;
const MAX_PARAMETERS = 256;

type Functions = ReadonlyMap<string, FunctionRule>;

/** Reports keys of a mapping that are not known. */
export const checkKeys = (
  value: Readonly<Record<string, unknown>>,
  known: readonly string[],
  path: Path,
  problems: Problems,
): void => {
  for (const key of Object.keys(value))
    if (!known.includes(key)) problems.add([...path, key], `unknown key "${key}"`, didYouMean(key, known));
};

/** A mapping, or an empty one where there is none; anything else is reported. */
export const mapping = (
  value: unknown,
  path: Path,
  problems: Problems,
  form: string,
): Readonly<Record<string, unknown>> => {
  if (isRecord(value)) return value;
  if (value !== undefined && value !== null) problems.add(path, 'not a mapping', `write ${form}`);
  return {};
};

export const readFunctions = (value: unknown, path: Path, problems: Problems): Functions => {
  const functions = new Map<string, FunctionRule>();
  const entries = Object.entries(mapping(value, path, problems, 'FUNCTION: {parameters: {NAME: clear}}'));
  if (value !== undefined && entries.length === 0 && (value === null || isRecord(value)))
    problems.add(path, 'no functions', 'name the functions to watch');
  if (entries.length > MAX_FUNCTIONS) problems.add(path, `${entries.length} functions`, `at most ${MAX_FUNCTIONS}`);
  for (const [name, rule] of entries.slice(0, MAX_FUNCTIONS)) {
    const at = [...path, name];
    const refused = refusedEventName(name);
    if (refused !== undefined) problems.add(at, refused);
    const keys = mapping(rule, at, problems, '{parameters: {NAME: clear}}');
    checkKeys(keys, ['parameters'], at, problems);
    functions.set(name, { parameters: readParameters(keys['parameters'], [...at, 'parameters'], problems) });
  }
  return functions;
};

export const readParameters = (value: unknown, path: Path, problems: Problems): ReadonlyMap<string, ParameterRule> => {
  const parameters = new Map<string, ParameterRule>();
  const entries = Object.entries(mapping(value, path, problems, '{NAME: clear}'));
  if (entries.length > MAX_PARAMETERS) problems.add(path, `${entries.length} parameters`, `at most ${MAX_PARAMETERS}`);
  for (const [name, rule] of entries.slice(0, MAX_PARAMETERS)) {
    const at = [...path, name];
    const refused = refusedName(name);
    if (refused !== undefined) problems.add(at, refused);
    parameters.set(name, readParameter(rule, at, problems));
  }
  return parameters;
};

/** `clear`, `hash`, `none`, or `{type, release}`: without a release nothing leaves the host. */
const readParameter = (value: unknown, path: Path, problems: Problems): ParameterRule => {
  if (typeof value === 'string') {
    const release = releaseOf(value, path, problems);
    return { type: release === 'hash' ? 'hash' : 'dyn', release };
  }
  if (!isRecord(value)) {
    problems.add(path, 'not clear, hash or none', 'write {type: int, release: clear} for the full form');
    return { type: 'dyn', release: 'none' };
  }
  checkKeys(value, ['type', 'release'], path, problems);
  const release = value['release'] === undefined ? 'none' : releaseOf(value['release'], [...path, 'release'], problems);
  const type = value['type'] ?? (release === 'hash' ? 'hash' : 'dyn');
  if (typeof type === 'string' && (TYPES.includes(type) || (type === 'hash' && release === 'hash')))
    return { type: type as ScalarType, release };
  problems.add([...path, 'type'], `unknown type ${JSON.stringify(type)}`, didYouMean(String(type), TYPES));
  // Expressions are still checked, so that every problem is told at once: whatever the type was meant to be.
  return { type: 'dyn', release };
};

export const releaseOf = (value: unknown, path: Path, problems: Problems): ParameterRule['release'] => {
  if (RELEASES.includes(value as string)) return value as ParameterRule['release'];
  const typed = TYPES.includes(value as string);
  problems.add(
    path,
    `${JSON.stringify(value)} says nothing of release`,
    typed ? `write {type: ${value}, release: clear}` : didYouMean(String(value), RELEASES),
  );
  return 'none';
};

/** Types of context variables come from their first values; a variable that starts as null takes any. */
export const readVariables = (value: unknown, path: Path, problems: Problems): Policy['variables'] => {
  const variables: { name: string; type: ScalarType; initial: Value }[] = [];
  for (const [name, first] of Object.entries(mapping(value, path, problems, 'VARIABLE: FIRST VALUE'))) {
    const refused = refusedName(name);
    if (refused !== undefined) problems.add([...path, name], refused);
    if (first === null) variables.push({ name, type: 'dyn', initial: null });
    else if (typeof first === 'string') variables.push({ name, type: 'string', initial: first });
    else if (typeof first === 'boolean') variables.push({ name, type: 'bool', initial: first });
    else if (typeof first === 'number')
      variables.push(
        Number.isInteger(first)
          ? { name, type: 'int', initial: first + 0 }
          : { name, type: 'double', initial: new Real(first) },
      );
    else problems.add([...path, name], 'not a number, a text, a boolean or null', 'use one variable for each part');
  }
  return variables;
};

export const readSlice = (value: unknown, path: Path, functions: Functions, problems: Problems): SliceRule | null => {
  if (value === undefined || value === null) return null;
  const form = '{NAME: {FUNCTION: PARAMETER}} or {thread: true}';
  const entries = Object.entries(mapping(value, path, problems, form));
  const [entry] = entries;
  if (entry === undefined || entries.length !== 1) {
    problems.add(path, 'one key is expected', `write ${form}`);
    return null;
  }
  const [name, rule] = entry;
  if (name === 'thread') {
    if (rule !== true)
      problems.add(
        [...path, name],
        'by thread there is nothing to choose',
        'write {thread: true}, or choose another name',
      );
    return { name, by: 'thread' };
  }
  const keys = new Map<string, string>();
  for (const [called, parameter] of Object.entries(mapping(rule, [...path, name], problems, '{FUNCTION: PARAMETER}'))) {
    const at = [...path, name, called];
    const own = functions.get(called)?.parameters;
    if (own === undefined) problems.add(at, `no function "${called}"`, didYouMean(called, functions.keys()));
    else if (typeof parameter !== 'string' || !own.has(parameter))
      problems.add(
        at,
        `${called} has no parameter ${JSON.stringify(parameter)}`,
        didYouMean(String(parameter), own.keys()),
      );
    else if (own.get(parameter)!.release === 'none')
      problems.add(at, `parameter "${parameter}" never leaves the host`, 'release it as clear or hash to slice by it');
    else keys.set(called, parameter);
  }
  if (keys.size === 0 && isRecord(rule) && Object.keys(rule).length === 0)
    problems.add([...path, name], 'no function holds the key', `write ${form}`);
  return { name, by: 'parameter', keys };
};

/** A duration with its unit, as whole microseconds; 0 where it was reported. */
export const readDuration = (value: unknown, path: Path, problems: Problems): number => {
  const micros = typeof value === 'string' ? parseDuration(value) : undefined;
  if (micros !== undefined) return micros;
  problems.add(path, `${JSON.stringify(value)} is no duration`, 'write a number and a unit: 250us, 4ms, 10s, 5m, 1h');
  return 0;
};

const readDurations = (value: unknown, path: Path, functions: Functions, problems: Problems): Map<string, number> => {
  const durations = new Map<string, number>();
  for (const [name, duration] of Object.entries(mapping(value, path, problems, '{FUNCTION: 4ms}'))) {
    if (!functions.has(name))
      problems.add([...path, name], `no function "${name}"`, didYouMean(name, functions.keys()));
    durations.set(name, readDuration(duration, [...path, name], problems));
  }
  return durations;
};

export const readAssumptions = (value: unknown, path: Path, functions: Functions, problems: Problems): Assumptions => {
  const keys = mapping(value, path, problems, '{minDuration: {FUNCTION: 4ms}}');
  checkKeys(keys, ['minDuration', 'minCpu', 'callsOnlyFrom', 'stable'], path, problems);
  return {
    minDuration: readDurations(keys['minDuration'], [...path, 'minDuration'], functions, problems),
    minCpu: readDurations(keys['minCpu'], [...path, 'minCpu'], functions, problems),
    callsOnlyFrom: readCallers(keys['callsOnlyFrom'], [...path, 'callsOnlyFrom'], functions, problems),
    stable: readStable(keys['stable'], [...path, 'stable'], functions, problems),
  };
};

const readCallers = (
  value: unknown,
  path: Path,
  functions: Functions,
  problems: Problems,
): Map<string, readonly string[]> => {
  const callers = new Map<string, readonly string[]>();
  for (const [name, from] of Object.entries(mapping(value, path, problems, '{FUNCTION: [CALLER]}'))) {
    if (!functions.has(name))
      problems.add([...path, name], `no function "${name}"`, didYouMean(name, functions.keys()));
    const list: unknown[] = Array.isArray(from) ? from : [from];
    if (list.length === 0 || !list.every((one) => typeof one === 'string' && one !== ''))
      problems.add([...path, name], 'not a list of functions');
    else callers.set(name, list as string[]);
  }
  return callers;
};

const readStable = (value: unknown, path: Path, functions: Functions, problems: Problems): Set<string> => {
  const stable = new Set<string>();
  if (value === undefined || value === null) return stable;
  if (!Array.isArray(value)) problems.add(path, 'not a list', 'write [FUNCTION.PARAMETER]');
  const known = new Set<string>();
  for (const [name, { parameters }] of functions)
    for (const parameter of parameters.keys()) known.add(`${name}.${parameter}`);
  for (const [i, word] of (Array.isArray(value) ? (value as unknown[]) : []).entries()) {
    if (typeof word === 'string' && known.has(word)) stable.add(word);
    else problems.add([...path, i], `no parameter ${JSON.stringify(word)}`, didYouMean(String(word), known));
  }
  return stable;
};
