import type { ParameterRule } from './policy.js';
import type { Path, Problems } from './problems.js';
import { checkKeys, mapping, readParameters, releaseOf } from './rules.js';

const MAX_SYSCALLS = 512;
const POSITIONS = ['a0', 'a1', 'a2', 'a3', 'a4', 'a5'] as const;

/** Globals and statics to be read at each look, with the rules of parameters. */
export const readGlobals = (value: unknown, path: Path, problems: Problems): ReadonlyMap<string, ParameterRule> =>
  readParameters(value, path, problems);

/** `{ openat: { a2: clear } }`: positions of arguments that may leave the host, by the name of the system call. */
export const readSyscalls = (
  value: unknown,
  path: Path,
  problems: Problems,
): ReadonlyMap<string, ReadonlyMap<string, ParameterRule['release']>> => {
  const entries = Object.entries(mapping(value, path, problems, '{openat: {a2: clear}}'));
  if (entries.length > MAX_SYSCALLS) problems.add(path, `${entries.length} system calls`, `at most ${MAX_SYSCALLS}`);
  return new Map(
    entries.slice(0, MAX_SYSCALLS).map(([name, rule]) => {
      const at = [...path, name];
      const keys = mapping(rule, at, problems, '{a2: clear}');
      checkKeys(keys, POSITIONS, at, problems);
      return [name, new Map(Object.entries(keys).map(([a, word]) => [a, releaseOf(word, [...at, a], problems)]))];
    }),
  );
};
