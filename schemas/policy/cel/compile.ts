import { AttestreamError } from '../../errors.js';
import type { Environment, Expression } from '../expression.js';
import { type Known, Real, type ScalarType, UNKNOWN, type Value } from '../value.js';
import { build } from './build.js';
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

const expressionOf = (source: string, node: Node): Expression => {
  const { run, know, type } = node;
  return {
    source,
    type,
    evaluate: run as (env: Environment<Value>) => Value | undefined,
    abstract: know as (env: Environment<Known>) => Known | undefined,
  };
};

/** As `compileExpression`, but throws an ExpressionProblem for a validator that collects. */
export const compileOrProblem = (source: string | number | boolean, scope: Scope, expected: ScalarType): Expression => {
  const type = celType(expected);
  if (typeof source === 'boolean') return expressionOf(`${source}`, fitted(constant(source, 'bool'), type));
  if (typeof source === 'number') {
    const int = Number.isSafeInteger(source) && type !== 'double';
    return expressionOf(
      `${source}`,
      fitted(int ? constant(source + 0, 'int') : constant(new Real(source), 'double'), type),
    );
  }
  return expressionOf(source, fitted(build(checkedAst(source, scope).ast, scope), type));
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
): Expression => {
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
