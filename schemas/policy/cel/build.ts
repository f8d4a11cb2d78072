import type { ASTNode } from '@marcbachmann/cel-js';
import { didYouMean } from '../../suggest.js';
import { Real } from '../value.js';
import { comparison, equality } from './compare.js';
import { convert, FUNCTIONS, METHODS, REFUSED, sizeOf, stringTest } from './functions.js';
import { int64 } from './integer.js';
import { callerAt, type List, membership, sizeOfList } from './lists.js';
import { junction, ternary } from './logic.js';
import { constant, type Node, strict1, strict2 } from './node.js';
import { type Arithmetic, arithmetic, minus, not } from './operators.js';
import { ExpressionProblem } from './problem.js';
import { EVENT_PARTS, present, read, SLICE } from './reads.js';
import type { CelType, Scope } from './scope.js';

const problem = (at: ASTNode, what: string, suggestion = ''): never => {
  throw new ExpressionProblem(what, suggestion, at.pos + 1);
};

const LIST_USE = 'a list may stand on the right of "in", in size(), or be indexed';

/** What an expression names, as positions in the scope. */
export interface Names {
  /** Parameters whose value is read. */
  readonly parameters: Set<number>;
  /** Parameters whose presence is asked for by has(). */
  readonly tested: Set<number>;
  readonly variables: Set<number>;
}

/** Turns a checked tree into closures. The parser's limits bound the recursion. */
export const build = (ast: ASTNode, scope: Scope, names: Names): Node => {
  const go = (node: ASTNode): Node => {
    switch (node.op) {
      case 'value':
        return literal(node, node.args);
      case 'id':
        if (node.args === 'slice') return SLICE;
        return problem(node, `"${node.args}" is not a value`, `name a part of it, as in ${node.args}.NAME`);
      case '.':
        return access(node, node.args[0], node.args[1]);
      case '[]':
        return access(node, node.args[0], node.args[1]);
      case '&&':
      case '||':
        return junction(node.op === '||', noHash(node.args[0]), noHash(node.args[1]));
      case '?:':
        return ternary(noHash(node.args[0]), go(node.args[1]), go(node.args[2]));
      case '!_':
        return strict1('bool', noHash(node.args), not);
      case '-_': {
        // The least int is written as the minus of a literal that is itself out of range.
        if (node.args.op === 'value' && typeof node.args.args === 'bigint') return literal(node, -node.args.args);
        const of = noHash(node.args);
        return strict1(of.type, of, minus);
      }
      case '==':
      case '!=':
        return equal(node, node.op === '!=', node.args[0], node.args[1]);
      case '<':
      case '<=':
      case '>':
      case '>=':
        return comparison(node.op, noHash(node.args[0]), noHash(node.args[1]));
      case '+':
      case '-':
      case '*':
      case '/':
      case '%':
        return calculation(node.op, noHash(node.args[0]), noHash(node.args[1]));
      case 'in':
        return membership(noHash(node.args[0]), list(node.args[1]));
      case 'call':
        return call(node, node.args[0], node.args[1]);
      case 'rcall':
        return method(node, node.args[0], node.args[1], node.args[2]);
      case 'list':
        return problem(node, 'a list is not a value here', LIST_USE);
      default:
        return problem(node, `"${node.op}" is not supported`);
    }
  };

  const noHash = (node: ASTNode): Node => {
    const built = go(node);
    if (built.type === 'hash')
      problem(
        node,
        'a hashed parameter has no order, size or content',
        'only == and != between hashed values are defined',
      );
    return built;
  };

  const literal = (node: ASTNode, value: unknown): Node => {
    if (typeof value === 'bigint') {
      const int = int64(value);
      return int === undefined ? problem(node, `${value} is beyond 64 bits`) : constant(int, 'int');
    }
    if (typeof value === 'number') return constant(new Real(value), 'double');
    if (typeof value === 'string') return constant(value, 'string');
    if (typeof value === 'boolean') return constant(value, 'bool');
    if (value === null) return constant(null, 'null');
    return problem(node, 'a literal of this kind is not supported', 'whole numbers are all int: leave the "u" away');
  };

  const access = (node: ASTNode, owner: ASTNode, field: string | ASTNode): Node => {
    if (isCallers(owner))
      return callerAt(typeof field === 'string' ? problem(node, 'a list has no fields') : noHash(field));
    if (owner.op !== 'id') return problem(node, 'values have no fields');
    const name = typeof field === 'string' ? field : field.op === 'value' ? field.args : undefined;
    if (typeof name !== 'string') return problem(node, 'the name must be written out', `as in ${owner.args}["name"]`);
    if (owner.args === 'args') {
      const [index, type] = parameter(node, name);
      names.parameters.add(index);
      return read('args', index, type);
    }
    if (owner.args === 'context') {
      const index = scope.variables.findIndex((variable) => variable.name === name);
      if (index < 0) {
        const known = scope.variables.map((variable) => variable.name);
        return problem(node, `no context variable "${name}"`, didYouMean(name, known));
      }
      names.variables.add(index);
      return read('context', index, scope.variables[index]!.type);
    }
    if (owner.args === 'event') {
      if (name === 'callers') return problem(node, 'event.callers is not a value here', LIST_USE);
      if (Object.hasOwn(EVENT_PARTS, name)) return EVENT_PARTS[name]!;
      return problem(node, `the event has no "${name}"`, didYouMean(name, [...Object.keys(EVENT_PARTS), 'callers']));
    }
    return problem(node, `"${owner.args}" has no fields`);
  };

  const parameter = (node: ASTNode, name: string): readonly [number, CelType] => {
    const index = scope.parameters.findIndex((candidate) => candidate.name === name);
    const known = scope.parameters.map((candidate) => candidate.name);
    if (index < 0) return problem(node, `no function has a parameter "${name}"`, didYouMean(name, known));
    const { released, type } = scope.parameters[index]!;
    if (!released) problem(node, `parameter "${name}" never leaves the host`, 'release it as clear or hash to use it');
    return [index, type];
  };

  const isCallers = (node: ASTNode): boolean =>
    node.op === '.' && node.args[1] === 'callers' && node.args[0].op === 'id' && node.args[0].args === 'event';

  const list = (node: ASTNode): List => {
    if (node.op === 'list') return { items: node.args.map(noHash) };
    return isCallers(node) ? 'callers' : problem(node, 'not a list', 'write [A, B, …] or event.callers');
  };

  const equal = (node: ASTNode, negated: boolean, a: ASTNode, b: ASTNode): Node => {
    const left = go(a);
    const right = go(b);
    for (const [one, other] of [
      [left, right],
      [right, left],
    ] as const)
      if (one.type === 'hash' && !['hash', 'dyn', 'null'].includes(other.type))
        problem(node, `a hashed parameter cannot equal a ${other.type}`, 'compare it with another hashed value');
    return equality(negated, left, right);
  };

  const calculation = (operator: Arithmetic, left: Node, right: Node): Node => {
    const type: CelType = left.type === 'dyn' ? right.type : left.type;
    return strict2(type, left, right, arithmetic[operator]);
  };

  const call = (node: ASTNode, name: string, args: readonly ASTNode[]): Node => {
    const [only] = args;
    if (only !== undefined && args.length === 1) {
      if (name === 'has') return has(node, only);
      if (name === 'size') return only.op === 'list' || isCallers(only) ? sizeOfList(list(only)) : sizeOf(noHash(only));
      const converted = convert(name, noHash(only));
      if (converted !== undefined) return converted;
    }
    return problem(node, `${name}() is not supported`, REFUSED[name] ?? didYouMean(name, FUNCTIONS));
  };

  const has = (node: ASTNode, field: ASTNode): Node => {
    if (field.op === '.' && field.args[0].op === 'id' && field.args[0].args === 'args') {
      const [index] = parameter(field, field.args[1]);
      names.tested.add(index);
      return present(index);
    }
    return problem(node, 'has() asks whether a call has a parameter', 'write has(args.NAME)');
  };

  const method = (node: ASTNode, name: string, receiver: ASTNode, args: readonly ASTNode[]): Node => {
    if (name === 'size' && args.length === 0)
      return receiver.op === 'list' || isCallers(receiver) ? sizeOfList(list(receiver)) : sizeOf(noHash(receiver));
    if (METHODS.includes(name) && args.length === 1) {
      const tested = stringTest(name, noHash(receiver), noHash(args[0]!));
      if (tested !== undefined) return tested;
    }
    return problem(node, `.${name}() is not supported`, REFUSED[name] ?? didYouMean(name, METHODS));
  };

  return go(ast);
};
