import type { Policy } from '../policy.js';
import type { ScalarType } from '../value.js';

/**
 * Types as expressions see them. A uint is an int there, as comparisons of the two are what people write; an enum is its name,
 * or its number where it has none, hence `dyn`.
 */
export type CelType = 'int' | 'double' | 'bool' | 'string' | 'null' | 'hash' | 'dyn';

/** What expressions of one policy may name. Positions are those of the arrays in an `Environment`. */
export interface Scope {
  readonly parameters: readonly { readonly name: string; readonly type: CelType; readonly released: boolean }[];
  readonly variables: readonly { readonly name: string; readonly type: CelType }[];
}

export const celType = (type: ScalarType): CelType => (type === 'uint' ? 'int' : type === 'enum' ? 'dyn' : type);

/**
 * Everything that the expressions of a policy may name. A parameter that functions declare with different types is `dyn`.
 */
export const scopeOf = (policy: Pick<Policy, 'functions' | 'parameterNames' | 'variables'>): Scope => {
  const parameters = policy.parameterNames.map((name) => {
    let type: CelType | undefined;
    let released = false;
    for (const rule of policy.functions.values()) {
      const parameter = rule.parameters.get(name);
      if (parameter === undefined) continue;
      if (parameter.release !== 'none') released = true;
      const own = parameter.release === 'hash' ? 'hash' : celType(parameter.type);
      // A hash stays one wherever it may occur: what is refused for it must not slip through as `dyn`.
      type = type === undefined || type === own ? own : type === 'hash' || own === 'hash' ? 'hash' : 'dyn';
    }
    return { name, type: type ?? 'dyn', released };
  });
  return { parameters, variables: policy.variables.map(({ name, type }) => ({ name, type: celType(type) })) };
};
