import { didYouMean } from '../suggest.js';
import { type CheckedExpression, compileOrProblem } from './cel/compile.js';
import { ExpressionProblem } from './cel/problem.js';
import { isRecord } from './document.js';
import { REFUSED_ACTIONS, REFUSED_GUARDS, REFUSED_KEYS, TRANSITION_KEYS } from './machine-reasons.js';
import { refusedEventName } from './names.js';
import type { Path, Problems } from './problems.js';
import { resolveTarget, type State, type StateTree } from './state-tree.js';
import type { ScalarType } from './value.js';
import type { Vocabulary } from './vocabulary.js';

/** Where in the machine something is checked. */
export interface Place {
  readonly tree: StateTree;
  readonly state: State;
  readonly vocabulary: Vocabulary;
  readonly problems: Problems;
}

/** `called`: the function whose call is the event, if it is that of one. */
export const checkTransitions = (value: unknown, path: Path, place: Place, called?: string): void => {
  const { problems } = place;
  if (Array.isArray(value)) {
    if (value.length === 0) problems.add(path, 'an empty list', 'remove the key');
    for (const [i, one] of value.entries()) checkTransition(one, [...path, i], place, called);
    warnUnreachable(value, path, problems);
  } else checkTransition(value, path, place, called);
};

const warnUnreachable = (list: readonly unknown[], path: Path, problems: Problems): void => {
  const always = list.findIndex((one) => typeof one === 'string' || (isRecord(one) && one['guard'] === undefined));
  if (always >= 0 && always < list.length - 1)
    problems.add(
      [...path, always + 1],
      'never reached: the transition before it has no guard',
      'put the one without a guard last',
    );
};

const checkTransition = (value: unknown, path: Path, place: Place, called: string | undefined): void => {
  const { problems } = place;
  if (typeof value === 'string') {
    checkTarget(value, path, place);
    return;
  }
  if (!isRecord(value)) {
    problems.add(
      path,
      value === null ? 'nothing stands here' : 'not a transition',
      'write TARGET, or {} for one that changes nothing',
    );
    return;
  }
  for (const key of Object.keys(value)) {
    if ((TRANSITION_KEYS as readonly string[]).includes(key)) continue;
    const reason = Object.hasOwn(REFUSED_KEYS, key) ? REFUSED_KEYS[key] : undefined;
    problems.add(
      [...path, key],
      reason === undefined ? `unknown key "${key}"` : `"${key}" is refused`,
      reason ?? didYouMean(key, TRANSITION_KEYS),
    );
  }
  const { target, guard, actions, reenter, description } = value;
  if (Array.isArray(target)) {
    if (target.length !== 1)
      problems.add(
        [...path, 'target'],
        'several targets are refused',
        'name one; regions of a parallel state start by their own "initial"',
      );
    else checkTarget(target[0], [...path, 'target'], place);
  } else if (target !== undefined) checkTarget(target, [...path, 'target'], place);
  if (reenter !== undefined && typeof reenter !== 'boolean') problems.add([...path, 'reenter'], 'not true or false');
  if (description !== undefined && typeof description !== 'string')
    problems.add([...path, 'description'], 'not a text');
  if (guard !== undefined) checkGuard(guard, [...path, 'guard'], place, called);
  checkActions(actions, [...path, 'actions'], place, called);
};

const checkTarget = (target: unknown, path: Path, { tree, state, problems }: Place): void => {
  if (typeof target !== 'string' || target === '') {
    problems.add(path, 'not the name of a state');
    return;
  }
  const resolved = resolveTarget(tree, state, target);
  if (!('state' in resolved)) problems.add(path, resolved.what, resolved.suggestion);
};

const checkGuard = (guard: unknown, path: Path, place: Place, called: string | undefined): void => {
  if (typeof guard === 'string') {
    checkExpression(guard, 'bool', path, place, called);
    return;
  }
  const type = isRecord(guard) ? guard['type'] : undefined;
  const reason = typeof type === 'string' && Object.hasOwn(REFUSED_GUARDS, type) ? REFUSED_GUARDS[type] : undefined;
  place.problems.add(
    path,
    reason === undefined ? 'not a CEL expression' : `a guard "${type}" is refused`,
    reason ?? 'write a text such as "args.level <= 80"',
  );
};

export const checkActions = (value: unknown, path: Path, place: Place, called?: string): void => {
  if (value === undefined) return;
  if (!Array.isArray(value)) {
    checkAction(value, path, place, called);
    return;
  }
  for (const [i, one] of value.entries()) checkAction(one, [...path, i], place, called);
};

const checkAction = (value: unknown, path: Path, place: Place, called: string | undefined): void => {
  const { problems } = place;
  const type = typeof value === 'string' ? value : isRecord(value) ? value['type'] : undefined;
  if (!isRecord(value) || (type !== 'assign' && type !== 'raise')) {
    const known = typeof type === 'string' && Object.hasOwn(REFUSED_ACTIONS, type) ? REFUSED_ACTIONS[type] : undefined;
    problems.add(
      path,
      typeof type === 'string' ? `an action "${type}" is refused` : 'not an action',
      known ?? 'there are {type: assign, params: {VARIABLE: EXPRESSION}} and {type: raise, params: {event: NAME}}',
    );
    return;
  }
  for (const key of Object.keys(value))
    if (key !== 'type' && key !== 'params')
      problems.add([...path, key], `unknown key "${key}"`, REFUSED_KEYS[key] ?? didYouMean(key, ['type', 'params']));
  const params = value['params'];
  if (!isRecord(params))
    problems.add(
      [...path, 'params'],
      'not a mapping',
      type === 'assign' ? 'write VARIABLE: EXPRESSION' : 'write event: NAME',
    );
  else if (type === 'raise') checkRaise(params, [...path, 'params'], place);
  else
    for (const [name, expression] of Object.entries(params))
      checkAssign(name, expression, [...path, 'params', name], place, called);
};

const checkRaise = (params: Readonly<Record<string, unknown>>, path: Path, { vocabulary, problems }: Place): void => {
  for (const key of Object.keys(params))
    if (key !== 'event')
      problems.add([...path, key], `unknown key "${key}"`, REFUSED_KEYS[key] ?? didYouMean(key, ['event']));
  const { event } = params;
  if (typeof event !== 'string') problems.add([...path, 'event'], 'not the name of an event');
  else {
    const refused = refusedEventName(event);
    if (refused !== undefined) problems.add([...path, 'event'], refused);
    else if (vocabulary.functions.has(event))
      problems.add(
        [...path, 'event'],
        `"${event}" is a watched function`,
        'a raised event must not look like a call that was made; choose another name',
      );
  }
};

const checkAssign = (name: string, expression: unknown, path: Path, place: Place, called: string | undefined): void => {
  const { vocabulary, problems } = place;
  const variable = vocabulary.variables.find((candidate) => candidate.name === name);
  if (variable === undefined)
    problems.add(
      path,
      `no context variable "${name}"`,
      didYouMean(
        name,
        vocabulary.variables.map((one) => one.name),
      ) || 'give it a first value in "context"',
    );
  else if (typeof expression === 'string' || typeof expression === 'number' || typeof expression === 'boolean')
    checkExpression(expression, variable.type, path, place, called);
  else problems.add(path, 'not a CEL expression, a number or a boolean', 'write null as "null" in quotes');
};

const checkExpression = (
  source: string | number | boolean,
  expected: ScalarType,
  path: Path,
  { vocabulary, problems }: Place,
  called: string | undefined,
): void => {
  try {
    const expression = compileOrProblem(source, vocabulary.scope, expected);
    if (called !== undefined) checkParametersOf(called, expression, path, vocabulary, problems);
  } catch (error) {
    if (!(error instanceof ExpressionProblem)) throw error;
    problems.add(path, `column ${error.column}: ${error.what}`, error.suggestion);
  }
};

/** A call of one function never carries the parameters of another: such an expression would be an error each time. */
const checkParametersOf = (
  called: string,
  expression: CheckedExpression,
  path: Path,
  vocabulary: Vocabulary,
  problems: Problems,
): void => {
  const own = vocabulary.functions.get(called)!.parameters;
  for (const index of expression.parameters) {
    const { name } = vocabulary.scope.parameters[index]!;
    if (own.has(name) || expression.tested.has(index)) continue;
    problems.add(path, `${called} has no parameter "${name}"`, didYouMean(name, own.keys()));
  }
};

/** Names that some action raises, wherever it stands. */
export const raisedNames = (tree: StateTree): ReadonlySet<string> => {
  const names = new Set<string>();
  const visit = (actions: unknown): void => {
    for (const action of Array.isArray(actions) ? actions : [actions]) {
      const params: unknown = isRecord(action) && action['type'] === 'raise' ? action['params'] : undefined;
      if (isRecord(params) && typeof params['event'] === 'string') names.add(params['event']);
    }
  };
  const visitTransitions = (transitions: unknown): void => {
    for (const one of Array.isArray(transitions) ? transitions : [transitions])
      if (isRecord(one)) visit(one['actions']);
  };
  for (const { node } of tree.states) {
    visit(node.entry);
    visit(node.exit);
    visitTransitions(node.always);
    visitTransitions(node.onDone);
    for (const transitions of Object.values(node.on ?? {})) visitTransitions(transitions);
    for (const transitions of Object.values(node.after ?? {})) visitTransitions(transitions);
  }
  return names;
};
