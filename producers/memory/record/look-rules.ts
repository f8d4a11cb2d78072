import type { FunctionRule, ParameterRule, Policy } from '../../../schemas/policy/policy.js';
import type { ReleaseRules } from './release.js';

/** How a process is looked at, and what of it may leave the host. */
export interface LookRules extends ReleaseRules, Pick<Policy, 'binary' | 'stop'> {
  /** Equal rules have equal names. */
  readonly name: string;
}

type Release = ParameterRule['release'];

const OPEN: readonly Release[] = ['none', 'hash', 'clear'];

const opener = (a: Release, b: Release): Release => (OPEN.indexOf(a) < OPEN.indexOf(b) ? b : a);

const join = <V>(maps: readonly ReadonlyMap<string, V>[], both: (a: V, b: V) => V): ReadonlyMap<string, V> => {
  const joined = new Map<string, V>();
  for (const map of maps)
    for (const [key, value] of map) {
      const known = joined.get(key);
      joined.set(key, known === undefined ? value : both(known, value));
    }
  return joined;
};

const joinRules = (a: ParameterRule, b: ParameterRule): ParameterRule => ({
  ...a,
  release: opener(a.release, b.release),
});

/**
 * What several policies ask for together; null for none. Each alone permits what it names, so that of one value the opener word
 * counts. `binary`: they hold for this path alone.
 */
export const lookRules = (policies: readonly Policy[], binary: string | null = null): LookRules | null => {
  const [first, ...others] = policies;
  if (first === undefined) return null;
  // A path can be written so that, as a pattern, it means others too.
  if (binary !== null && /[*?]/.test(binary)) return null;
  const glob = binary ?? first.binary;
  const name = [glob, ...policies.map(({ digest }) => digest)].join(' ');
  if (others.length === 0) return { ...first, binary: glob, name };
  return {
    name,
    binary: glob,
    stop: policies.some(({ stop }) => stop === 'allowed') ? 'allowed' : 'never',
    functions: join<FunctionRule>(
      policies.map(({ functions }) => functions),
      (a, b) => ({ parameters: join([a.parameters, b.parameters], joinRules) }),
    ),
    globals: join(
      policies.map(({ globals }) => globals),
      joinRules,
    ),
    syscalls: join(
      policies.map(({ syscalls }) => syscalls),
      (a, b) => join([a, b], opener),
    ),
    threadNames: policies.map(({ threadNames }) => threadNames).reduce(opener),
  };
};
