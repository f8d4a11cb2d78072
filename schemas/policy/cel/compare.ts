import type { Node, Run } from './node.js';
import { strict2 } from './node.js';
import { type Comparison, compare, equals } from './operators.js';

const swapped: Readonly<Record<Comparison, Comparison>> = { '<': '>', '<=': '>=', '>': '<', '>=': '<=' };

/** A parameter or variable against a whole number: the guard that most machines consist of, in one closure. */
const readAgainstNumber = (operator: Comparison, node: Node, limit: number): Run => {
  const { from, index } = node.read!;
  const general = (value: number | bigint): boolean | undefined => compare[operator](value, limit);
  switch (operator) {
    case '<':
      return (env) => {
        const value = env[from][index];
        if (typeof value === 'number') return value < limit;
        return typeof value === 'bigint' ? general(value) : undefined;
      };
    case '<=':
      return (env) => {
        const value = env[from][index];
        if (typeof value === 'number') return value <= limit;
        return typeof value === 'bigint' ? general(value) : undefined;
      };
    case '>':
      return (env) => {
        const value = env[from][index];
        if (typeof value === 'number') return value > limit;
        return typeof value === 'bigint' ? general(value) : undefined;
      };
    default:
      return (env) => {
        const value = env[from][index];
        if (typeof value === 'number') return value >= limit;
        return typeof value === 'bigint' ? general(value) : undefined;
      };
  }
};

export const comparison = (operator: Comparison, left: Node, right: Node): Node => {
  const node = strict2('bool', left, right, compare[operator]);
  if (left.read !== undefined && left.type === 'int' && typeof right.constant === 'number')
    return { ...node, run: readAgainstNumber(operator, left, right.constant) };
  if (right.read !== undefined && right.type === 'int' && typeof left.constant === 'number')
    return { ...node, run: readAgainstNumber(swapped[operator], right, left.constant) };
  return node;
};

/** `==` and `!=`; identity suffices where both sides are of one type whose values are their own identity. */
export const equality = (negated: boolean, left: Node, right: Node): Node => {
  const identical = left.type === right.type && (left.type === 'int' || left.type === 'string' || left.type === 'bool');
  if (identical) return strict2('bool', left, right, negated ? (a, b) => a !== b : (a, b) => a === b);
  return strict2('bool', left, right, negated ? (a, b) => !equals(a, b) : equals);
};
