import { refusedName } from '../policy/names.js';
import { singleOf } from '../policy/regex/character-set.js';
import { parseRegex } from '../policy/regex/parse.js';
import type { Regex } from '../policy/regex/syntax.js';

/** What a policy of hosts writes for an excluded path. */
export type Exclusion = string | { readonly regex: string };

/** `/tmp/.*`, `^/tmp/` and their like as a glob; undefined for whatever says more than how a path begins. */
const asGlob = (regex: Regex): string | undefined => {
  const parts = regex.kind === 'sequence' ? [...regex.parts] : [regex];
  if (parts[0]?.kind === 'begin') parts.shift();
  const last = parts.at(-1);
  // A match need not reach the end of the path, so that what may be empty there says nothing.
  if (last?.kind === 'repeat' && last.least === 0) parts.pop();
  let literal = '';
  for (const part of parts) {
    const single = part.kind === 'set' ? singleOf(part.set) : undefined;
    if (single === undefined) return undefined;
    literal += String.fromCodePoint(single);
  }
  return /[*?]/.test(literal) || refusedName(`${literal}*`) !== undefined ? undefined : `${literal}*`;
};

/** An expression of Keylime's `excludes` as a policy of hosts says it, the same paths in both. Throws RegexRefused. */
export const exclusionOf = (expression: string): Exclusion => asGlob(parseRegex(expression)) ?? { regex: expression };

const quoted = (literal: string): string => literal.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');

/** A glob as an expression that matches from the beginning. */
export const expressionOf = (glob: string): string => {
  const expression = glob
    .split(/([*?])/)
    .map((part) => (part === '*' ? '.*' : part === '?' ? '.' : quoted(part)))
    .join('');
  return glob.endsWith('*') ? expression : `${expression}$`;
};
