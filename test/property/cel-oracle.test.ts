import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { environmentOf } from '../../schemas/policy/cel/check.js';
import { compileExpression } from '../../schemas/policy/cel/compile.js';
import type { Environment } from '../../schemas/policy/expression.js';
import { Real, type Value } from '../../schemas/policy/value.js';
import { environments, SCOPE, terms } from './cel-terms.js';

const toLibrary = (value: Value): unknown =>
  typeof value === 'number' ? BigInt(value) : value instanceof Real ? value.value : value;

const named = (
  names: readonly { readonly name: string }[],
  values: readonly (Value | undefined)[],
): Record<string, unknown> =>
  Object.fromEntries(names.flatMap(({ name }, i) => (values[i] === undefined ? [] : [[name, toLibrary(values[i])]])));

/** Our values in the library's form; `undefined` for its errors. */
const expected = (source: string, env: Environment<Value>): unknown => {
  try {
    return LIBRARY.evaluate(source, {
      args: named(SCOPE.parameters, env.args),
      context: named(SCOPE.variables, env.context),
      event: {
        ...env.event,
        at: BigInt(env.event.at),
        notBefore: BigInt(env.event.notBefore),
        thread: BigInt(env.event.thread),
      },
      slice: toLibrary(env.slice),
    });
  } catch {
    return undefined;
  }
};
const LIBRARY = environmentOf(SCOPE);

/** −0 and 0 are one value to every expression. */
const unsigned = (value: unknown): unknown => (value === 0 ? 0 : value);

describe('a compiled expression gives what the library gives', () => {
  for (const [type, term] of Object.entries(terms))
    test(`of type ${type}`, () => {
      fc.assert(
        fc.property(term, environments, (source, env) => {
          const ours = compileExpression(source, SCOPE, type as keyof typeof terms, 'test').evaluate(env);
          expect(unsigned(ours === undefined ? ours : toLibrary(ours))).toEqual(unsigned(expected(source, env)));
        }),
        { numRuns: 4000 },
      );
    });
});
