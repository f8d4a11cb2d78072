import { UNKNOWN } from '../value.js';
import type { Node } from './node.js';

/**
 * `&&` (deciding: false) and `||` (deciding: true). One side that decides absorbs an error or an unknown of the other.
 * What is no bool counts as an error, as in CEL.
 */
export const junction = (deciding: boolean, left: Node, right: Node): Node => {
  const first = left.run;
  const second = right.run;
  return {
    type: 'bool',
    run: deciding
      ? (env) => {
          const a = first(env);
          if (a === true) return true;
          const b = second(env);
          if (b === true) return true;
          return a === false && b === false ? false : undefined;
        }
      : (env) => {
          const a = first(env);
          if (a === false) return false;
          const b = second(env);
          if (b === false) return false;
          return a === true && b === true ? true : undefined;
        },
    know: (env) => {
      const a = left.know(env);
      if (a === deciding) return deciding;
      const b = right.know(env);
      if (b === deciding) return deciding;
      if (a === !deciding && b === !deciding) return !deciding;
      // An unknown side might still decide; else at least one side is surely an error and none decides.
      return a === UNKNOWN || b === UNKNOWN ? UNKNOWN : undefined;
    },
  };
};

/** `condition ? yes : no` */
export const ternary = (condition: Node, yes: Node, no: Node): Node => ({
  type: yes.type === no.type ? yes.type : yes.type === 'hash' || no.type === 'hash' ? 'hash' : 'dyn',
  run: (env) => {
    const c = condition.run(env);
    return c === true ? yes.run(env) : c === false ? no.run(env) : undefined;
  },
  know: (env) => {
    const c = condition.know(env);
    if (c === true) return yes.know(env);
    if (c === false) return no.know(env);
    if (c !== UNKNOWN) return undefined;
    const a = yes.know(env);
    const b = no.know(env);
    // The condition itself may be an error, hence no branch's constant is sure, unless both only give errors.
    return a === undefined && b === undefined ? undefined : UNKNOWN;
  },
});
