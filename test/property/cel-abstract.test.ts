import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compileExpression } from '../../schemas/policy/cel/compile.js';
import type { Environment } from '../../schemas/policy/expression.js';
import { type Known, UNKNOWN, type Value } from '../../schemas/policy/value.js';
import { environmentsWithHashes, SCOPE, terms } from './cel-terms.js';

const masks = fc.array(fc.boolean(), { minLength: 18, maxLength: 18 });

/** The same environment with some of its values forgotten; what is missing stays surely missing. */
const forget = (env: Environment<Value>, mask: readonly boolean[]): Environment<Known> => {
  let at = 0;
  const hide = <V>(value: V): V | typeof UNKNOWN => (mask[at++] === true ? UNKNOWN : value);
  return {
    args: env.args.map((value) => (value === undefined ? value : hide(value))),
    context: env.context.map((value) => hide(value)),
    event: {
      function: hide(env.event.function),
      at: hide(env.event.at),
      notBefore: hide(env.event.notBefore),
      thread: hide(env.event.thread),
      callers: hide(env.event.callers),
    },
    slice: hide(env.slice),
  };
};

for (const [type, term] of Object.entries(terms)) {
  const compile = (source: string) => compileExpression(source, SCOPE, type as keyof typeof terms, 'test');

  test(`what is known of an expression of type ${type} holds its value`, () => {
    fc.assert(
      fc.property(term, environmentsWithHashes, masks, (source, env, mask) => {
        const expression = compile(source);
        const known = expression.abstract(forget(env, mask));
        if (known !== UNKNOWN) expect(expression.evaluate(env)).toEqual(known);
      }),
      { numRuns: 4000 },
    );
  });

  test(`where all is known, an expression of type ${type} is known`, () => {
    fc.assert(
      fc.property(term, environmentsWithHashes, (source, env) => {
        const expression = compile(source);
        expect(expression.abstract(env)).toEqual(expression.evaluate(env));
      }),
      { numRuns: 1000 },
    );
  });
}
