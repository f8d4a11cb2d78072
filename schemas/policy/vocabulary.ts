import type { Scope } from './cel/scope.js';
import type { FunctionRule, Policy } from './policy.js';

/** What the machine's parts may name. */
export interface Vocabulary {
  readonly functions: ReadonlyMap<string, FunctionRule>;
  readonly variables: Policy['variables'];
  readonly scope: Scope;
}
