import { isRecord } from '../document.js';
import { globMatches } from '../glob.js';
import type { Path, Problems } from '../problems.js';
import { PathRegex } from '../regex/path-regex.js';
import { RegexRefused } from '../regex/syntax.js';
import { checkKeys } from '../rules.js';
import type { PathPattern } from './host-policy.js';
import { readGlobs, readList } from './reference-values.js';

/** Steps of all expressions of one policy together: each path of a list costs at most this many for each character. */
const MAX_STEPS = 100_000;

const globPattern = (text: string): PathPattern => ({
  form: 'glob',
  text,
  matches: (path) => globMatches(text, path),
});

const readRegex = (value: unknown, path: Path, problems: Problems): PathRegex | null => {
  if (typeof value === 'string')
    try {
      return new PathRegex(value);
    } catch (error) {
      if (!(error instanceof RegexRefused)) throw error;
      problems.add(path, error.message, 'see docs/policy.md for what is taken');
      return null;
    }
  problems.add(path, 'not a text', "write {regex: '/var/log/.*'}");
  return null;
};

/** Globs, and `{regex: TEXT}` that matches as Python's `re.match` does; one of them or a list. */
export const readPatterns = (value: unknown, path: Path, problems: Problems): readonly PathPattern[] => {
  let steps = 0;
  return readList(value).flatMap((one, i) => {
    const at = Array.isArray(value) ? [...path, i] : path;
    if (!isRecord(one)) return readGlobs([one], at, problems, at).map(globPattern);
    checkKeys(one, ['regex'], at, problems);
    const regex = readRegex(one['regex'], [...at, 'regex'], problems);
    if (regex === null) return [];
    steps += regex.size;
    if (steps > MAX_STEPS) {
      problems.add(path, `expressions of more than ${MAX_STEPS} steps together`);
      problems.throwIfAny();
    }
    return [{ form: 'regex' as const, text: regex.text, matches: (name: string) => regex.matches(name) }];
  });
};
