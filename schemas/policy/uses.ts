import type { Arrow } from './arrows.js';
import { type CheckedExpression, compileExpression } from './cel/compile.js';
import { type Scope, scopeOf } from './cel/scope.js';
import type { Environment } from './expression.js';
import { type Finding, finding } from './finding.js';
import type { Policy, Transition } from './policy.js';
import { showPath } from './problems.js';
import type { StateTree } from './state-tree.js';
import { actionsOf } from './transitions.js';
import { type Known, UNKNOWN } from './value.js';

export interface Uses {
  readonly parameters: Set<string>;
  readonly variables: Set<number>;
  readonly guards: Finding[];
}

/** What expressions read, and guards whose answer no data changes. */
export const usesOf = (policy: Policy, tree: StateTree, arrows: readonly Arrow[]): Uses => {
  const scope = scopeOf(policy);
  const uses: Uses = { parameters: new Set(), variables: new Set(), guards: [] };
  const note = (expression: CheckedExpression): void => {
    for (const index of [...expression.parameters, ...expression.tested])
      uses.parameters.add(scope.parameters[index]!.name);
    for (const index of expression.variables) uses.variables.add(index);
  };
  const noteActions = (actions: Transition['actions']): void => {
    for (const action of actionsOf(actions)) {
      if (action.type !== 'assign') continue;
      for (const [name, source] of Object.entries(action.params)) {
        const own = policy.variables.findIndex((variable) => variable.name === name);
        const expression = compileExpression(source, scope, policy.variables[own]!.type, name);
        // A counter that only counts itself up is not read by that.
        const variables = new Set([...expression.variables].filter((index) => index !== own));
        note({ ...expression, variables });
      }
    }
  };
  for (const { node } of tree.states) {
    noteActions(node.entry);
    noteActions(node.exit);
  }
  for (const arrow of arrows) {
    const { guard, actions } = arrow.transition;
    noteActions(actions);
    if (typeof guard !== 'string') continue;
    const path = [...arrow.path, 'guard'];
    const expression = compileExpression(guard, scope, 'bool', showPath(path));
    note(expression);
    const answer = expression.abstract(anything(policy, scope, arrow));
    // What has() finds depends on which function was called.
    if (answer === UNKNOWN || (expression.tested.size > 0 && anyCall(arrow.when, arrow.event))) continue;
    const word = answer === undefined ? 'always an error, hence false' : `always ${String(answer)}`;
    uses.guards.push(finding('constant-guard', path, `the guard is ${word}, whatever the call and the variables are`));
  }
  return uses;
};

/** Every environment in which an arrow's guard may be asked. */
const anything = (policy: Policy, scope: Scope, { when, event }: Arrow): Environment<Known> => {
  const own = policy.functions.get(event)?.parameters;
  const name = when === 'on' && event !== '*' ? event : UNKNOWN;
  return {
    args: scope.parameters.map((parameter) => (anyCall(when, event) || own?.has(parameter.name) ? UNKNOWN : undefined)),
    context: policy.variables.map(() => UNKNOWN),
    event: { function: name, at: UNKNOWN, notBefore: UNKNOWN, thread: UNKNOWN, callers: UNKNOWN },
    slice: UNKNOWN,
  };
};

/** `always` and `*` may follow a call of any function; a deadline or an event of the process has no parameters. */
const anyCall = (when: Arrow['when'], event: string): boolean => when === 'always' || event === '*';
