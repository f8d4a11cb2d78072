import { type ASTNode, Environment, type ParseError } from '@marcbachmann/cel-js';
import { didYouMean } from '../../suggest.js';
import { ExpressionProblem } from './problem.js';
import type { CelType, Scope } from './scope.js';

/** Characters of one expression. */
const MAX_SOURCE = 4096;
const LIMITS = { maxAstNodes: 1000, maxDepth: 64, maxListElements: 256, maxMapEntries: 16, maxCallArguments: 8 };

const EVENT = { function: 'string', at: 'int', notBefore: 'int', thread: 'int', callers: 'list<string>' } as const;
export const EVENT_FIELDS = Object.keys(EVENT);

const schema = (names: readonly { readonly name: string; readonly type: CelType }[]): Record<string, string> => {
  const fields: Record<string, string> = Object.create(null) as Record<string, string>;
  // A hash and null have no type of their own in the library; our own walk refuses what is not defined for them.
  for (const { name, type } of names) fields[name] = type === 'hash' || type === 'null' ? 'dyn' : type;
  return fields;
};

/** The declared environment as the library takes it; also the oracle of the tests. */
export const environmentOf = (scope: Scope): Environment =>
  new Environment({ limits: LIMITS })
    .registerVariable({ name: 'args', schema: schema(scope.parameters) })
    .registerVariable({ name: 'context', schema: schema(scope.variables) })
    .registerVariable({ name: 'event', schema: EVENT })
    .registerVariable('slice', 'dyn');

const environments = new WeakMap<Scope, Environment>();

const suggestionFor = (code: string, summary: string, source: string, at: number, scope: Scope): string => {
  const word = summary.slice(summary.indexOf(':') + 1).trim();
  switch (code) {
    case 'unknown_variable': {
      const owner = scope.parameters.some(({ name }) => name === word)
        ? 'args'
        : scope.variables.some(({ name }) => name === word)
          ? 'context'
          : EVENT_FIELDS.includes(word)
            ? 'event'
            : undefined;
      return owner === undefined
        ? didYouMean(word, ['args', 'context', 'event', 'slice'])
        : `did you mean "${owner}.${word}"?`;
    }
    case 'no_such_key': {
      const before = source.slice(0, at);
      if (/context\s*[.[]?[\s?"']*$/.test(before))
        return didYouMean(
          word,
          scope.variables.map(({ name }) => name),
        );
      if (/event\s*[.[]?[\s?"']*$/.test(before)) return didYouMean(word, EVENT_FIELDS);
      return didYouMean(
        word,
        scope.parameters.map(({ name }) => name),
      );
    }
    case 'no_such_overload':
      if (/\bint\b/.test(word) && /\bdouble\b/.test(word)) return 'convert one side with int(…) or double(…)';
      if (/\buint\b/.test(word)) return 'whole numbers are all int here: leave the "u" away';
      return '';
    default:
      return '';
  }
};

/** Parses and type-checks; throws ExpressionProblem. */
export const checkedAst = (source: string, scope: Scope): ASTNode => {
  if (source.trim() === '') throw new ExpressionProblem('an empty expression', '', 1);
  if (source.length > MAX_SOURCE)
    throw new ExpressionProblem(`an expression of ${source.length} characters`, `at most ${MAX_SOURCE}`, 1);
  let environment = environments.get(scope);
  if (environment === undefined) {
    environment = environmentOf(scope);
    environments.set(scope, environment);
  }
  try {
    const parsed = environment.parse(source);
    const result = parsed.check();
    if (result.error !== undefined) throw result.error;
    return parsed.ast;
  } catch (error) {
    const { summary, code, range } = error as ParseError;
    if (typeof summary !== 'string') throw new ExpressionProblem((error as Error).message.split('\n')[0]!, '', 1);
    const at = range?.start ?? 0;
    const what = code === 'no_such_key' ? summary.replace('No such key', 'no such name') : summary;
    throw new ExpressionProblem(what, suggestionFor(code, summary, source, at, scope), at + 1);
  }
};
