import { environmentOf } from '../schemas/policy/cel/check.js';
import { compileExpression } from '../schemas/policy/cel/compile.js';
import type { Scope } from '../schemas/policy/cel/scope.js';
import type { Environment } from '../schemas/policy/expression.js';
import type { Known, Value } from '../schemas/policy/value.js';
import type { Figure } from './figure.js';

const SCOPE: Scope = {
  parameters: [
    { name: 'level', type: 'int', released: true },
    { name: 'mode', type: 'string', released: true },
  ],
  variables: [{ name: 'actuations', type: 'int' }],
};

const SOURCES: readonly (readonly [string, string, 'bool' | 'int'])[] = [
  ['guard of two clauses', 'args.level <= 80 && context.actuations < 1000', 'bool'],
  ['guard of three clauses', 'args.level <= 80 && context.actuations < 1000 && args.mode == "auto"', 'bool'],
  ['counter', 'context.actuations + 1', 'int'],
];

/** Runs for about 300 ms after a warm-up; evaluations a second. `of` must depend on its argument. */
const rate = (of: (i: number) => unknown): number => {
  let seen = 0;
  const run = (count: number): number => {
    const begun = performance.now();
    for (let i = 0; i < count; i++) if (of(i) === undefined) seen++;
    return performance.now() - begun;
  };
  run(20_000);
  let count = 100_000;
  let took = run(count);
  while (took < 150) {
    count *= 2;
    took = run(count);
  }
  if (seen > 0) throw new Error('an expression of the benchmark gave an error');
  return Math.round((count / took) * 1000);
};

/** Compiled expressions, concrete and abstract, beside the library's own evaluation of the same text. */
export const bench = async (): Promise<Figure[]> => {
  const event = { function: 'actuate', at: 0, notBefore: 0, thread: 1, callers: [] };
  const args: (Value | undefined)[] = [0, 'auto'];
  const context: Value[] = [0];
  const env: Environment<Value> & Environment<Known> = { args, context, event, slice: null };
  const results: Figure[] = [];
  for (const [name, source, type] of SOURCES) {
    const { evaluate, abstract } = compileExpression(source, SCOPE, type, 'bench');
    const library = environmentOf(SCOPE).parse(source);
    const change = (i: number): void => {
      args[0] = i & 127;
      context[0] = i & 2047;
    };
    const levels = Array.from({ length: 128 }, (_, i) => BigInt(i));
    const view = { args: { level: 0n, mode: 'auto' }, context: { actuations: 0n } };
    const baseline = rate((i) => {
      view.args.level = levels[i & 127]!;
      view.context.actuations = levels[(i >> 4) & 127]!;
      return library(view);
    });
    for (const [form, of] of [
      ['concrete', evaluate],
      ['abstract', abstract],
    ] as const) {
      const figure = rate((i) => {
        change(i);
        return of(env);
      });
      results.push({ name: `cel ${name}, ${form}`, figure, unit: '1/s', baseline, ratio: figure / baseline });
    }
  }
  return results;
};
