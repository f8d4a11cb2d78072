import { AttestreamError } from '../../errors.js';
import type { Expression } from '../expression.js';
import { Real, type ScalarType, UNKNOWN } from '../value.js';
import { build, type Names } from './build.js';
import { checkedAst } from './check.js';
import { constant, type Node } from './node.js';
import { isOf } from './operators.js';
import { ExpressionProblem } from './problem.js';
import { type CelType, celType, type Scope } from './scope.js';

/** Fits the result to what is expected; what is only known at run time is checked there. */
const fitted = (node: Node, expected: CelType): Node => {
  if (expected === 'dyn' || node.type === expected) return node;
  if (node.type !== 'dyn')
    throw new ExpressionProblem(
      `the expression is of type ${node.type}, expected ${expected}`,
      expected === 'double' && node.type === 'int' ? 'write double(…)' : '',
      1,
    );
  const { run, know } = node;
  return {
    type: expected,
    run: (env) => {
      const value = run(env);
      return value !== undefined && isOf(value, expected) ? value : undefined;
    },
    know: (env) => {
      const value = know(env);
      return value === undefined || value === UNKNOWN || isOf(value, expected) ? value : undefined;
    },
  };
};

/** An expression with what it names, as positions in the scope. */
export interface CheckedExpression extends Expression {
  /** Parameters whose value is read. */
  readonly parameters: ReadonlySet<number>;
  /** Parameters whose presence is asked for by has(). */
  readonly tested: ReadonlySet<number>;
  readonly variables: ReadonlySet<number>;
}

const noNames = (): Names => ({ parameters: new Set(), tested: new Set(), variables: new Set() });

const expressionOf = (source: string, node: Node, names: Names): CheckedExpression => ({
  source,
  type: node.type,
  evaluate: node.run,
  abstract: node.know,
  ...names,
});

const literal = (value: number | boolean, expected: CelType): Node => {
  if (typeof value === 'boolean') return constant(value, 'bool');
  if (Number.isSafeInteger(value) && expected !== 'double') return constant(value + 0, 'int');
  return constant(new Real(value), 'double');
};

/** As `compileExpression`, but throws an ExpressionProblem for a validator that collects. */
export const compileOrProblem = (
  source: string | number | boolean,
  scope: Scope,
  expected: ScalarType,
): CheckedExpression => {
  const type = celType(expected);
  const names = noNames();
  const node = typeof source === 'string' ? build(checkedAst(source, scope), scope, names) : literal(source, type);
  return expressionOf(`${source}`, fitted(node, type), names);
};

/**
 * Checks an expression and compiles it to closures. A number or a boolean, as an assignment may hold, stands for itself.
 * `expected`: `bool` for a guard, the variable's type for an assignment (`dyn`: any). `path` is the place that messages name.
 * Throws POLICY_INVALID with the column and a suggestion.
 */
export const compileExpression = (
  source: string | number | boolean,
  scope: Scope,
  expected: ScalarType,
  path: string,
): CheckedExpression => {
  try {
    return compileOrProblem(source, scope, expected);
  } catch (error) {
    if (!(error instanceof ExpressionProblem)) throw error;
    throw new AttestreamError('POLICY_INVALID', `${path}: ${error.message} in "${source}"`, {
      path,
      offset: error.column,
    });
  }
};
