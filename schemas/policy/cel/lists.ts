import type { Environment } from '../expression.js';
import { type Known, UNKNOWN, type Value } from '../value.js';
import type { Node } from './node.js';
import { equals } from './operators.js';

/** A list literal, or the callers of the call. Lists are no values of their own. */
export type List = { readonly items: readonly Node[] } | 'callers';

/** `value in list`. The elements of a literal are evaluated all: an error in one is an error. */
export const membership = (value: Node, list: List): Node => {
  if (list === 'callers') return membershipInCallers(value);
  const { items } = list;
  if (items.every((item) => item.constant !== undefined)) return membershipInConstants(value, items);
  return {
    type: 'bool',
    run: (env) => {
      const sought = value.run(env);
      if (sought === undefined) return undefined;
      let found = false;
      for (const item of items) {
        const element = item.run(env);
        if (element === undefined) return undefined;
        found ||= equals(sought, element);
      }
      return found;
    },
    know: (env) => {
      const sought = value.know(env);
      if (sought === undefined) return undefined;
      let sure = sought !== UNKNOWN;
      let found = false;
      for (const item of items) {
        const element = item.know(env);
        if (element === undefined) return undefined;
        if (element === UNKNOWN || sought === UNKNOWN) sure = false;
        else found ||= equals(sought, element);
      }
      // An unknown element might still be an error, so that even a hit is not sure.
      return sure ? found : UNKNOWN;
    },
  };
};

const membershipInConstants = (value: Node, items: readonly Node[]): Node => {
  const constants = items.map((item) => item.constant!);
  const contains = (sought: Value): boolean => {
    for (const element of constants) if (equals(sought, element)) return true;
    return false;
  };
  return {
    type: 'bool',
    run: (env) => {
      const sought = value.run(env);
      return sought === undefined ? undefined : contains(sought);
    },
    know: (env) => {
      const sought = value.know(env);
      if (constants.length === 0 && sought !== undefined && sought !== UNKNOWN) return false;
      return sought === undefined || sought === UNKNOWN ? sought : contains(sought);
    },
  };
};

const membershipInCallers = (value: Node): Node => ({
  type: 'bool',
  run: (env) => {
    const sought = value.run(env);
    return sought === undefined ? undefined : typeof sought === 'string' && env.event.callers.includes(sought);
  },
  know: (env) => {
    const sought = value.know(env);
    const { callers } = env.event;
    if (sought === undefined) return undefined;
    if (sought === UNKNOWN || callers === UNKNOWN) return UNKNOWN;
    return typeof sought === 'string' && callers.includes(sought);
  },
});

export const sizeOfList = (list: List): Node => {
  if (list === 'callers')
    return {
      type: 'int',
      run: (env) => env.event.callers.length,
      know: (env) => (env.event.callers === UNKNOWN ? UNKNOWN : env.event.callers.length),
    };
  const { items } = list;
  return {
    type: 'int',
    run: (env: Environment<Value>) => {
      for (const item of items) if (item.run(env) === undefined) return undefined;
      return items.length;
    },
    know: (env: Environment<Known>) => {
      let sure = true;
      for (const item of items) {
        const element = item.know(env);
        if (element === undefined) return undefined;
        if (element === UNKNOWN) sure = false;
      }
      return sure ? items.length : UNKNOWN;
    },
  };
};

/** `event.callers[i]`: the innermost is 0. */
export const callerAt = (index: Node): Node => ({
  type: 'string',
  run: (env) => {
    const i = index.run(env);
    return typeof i === 'number' ? env.event.callers[i] : undefined;
  },
  know: (env) => {
    const i = index.know(env);
    const { callers } = env.event;
    if (i === undefined) return undefined;
    if (i === UNKNOWN || callers === UNKNOWN) return UNKNOWN;
    return typeof i === 'number' ? callers[i] : undefined;
  },
});
