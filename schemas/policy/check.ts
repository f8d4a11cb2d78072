import { type Arrow, arrowsOf, pathOf, reachable } from './arrows.js';
import { type Finding, finding } from './finding.js';
import type { Policy } from './policy.js';
import { type State, type StateTree, stateTree, targetOf } from './state-tree.js';
import { listOf } from './transitions.js';
import { usesOf } from './uses.js';

/** Looks for structure that cannot be meant: whatever guards and data say, it makes no difference. In the document's order. */
export const checkPolicy = (policy: Policy): readonly Finding[] => {
  const tree = stateTree(policy.machine);
  const arrows = tree.states.flatMap(arrowsOf);
  const reached = reachable(tree, arrows);
  const uses = usesOf(policy, tree, arrows);
  return [
    ...tree.states
      .filter((state) => !reached.has(state) && (state.parent === null || reached.has(state.parent)))
      .map((state) => finding('unreachable-state', pathOf(state), `no transition leads to "${state.path.join('.')}"`)),
    ...deadEnds(policy, tree, reached),
    ...deadlines(tree),
    ...uses.guards,
    ...unusedFunctions(
      policy,
      arrows.filter(({ from }) => reached.has(from)),
    ),
    ...unusedParameters(policy, uses.parameters),
    ...policy.variables
      .filter((_, index) => !uses.variables.has(index))
      .map(({ name }) => finding('unused-variable', ['machine', 'context', name], 'no expression reads this variable')),
    ...neverViolated(policy, tree),
  ];
};

const tagged = (state: State): boolean => {
  for (let up: State | null = state; up !== null; up = up.parent)
    if ([up.node.tags ?? []].flat().includes('violation')) return true;
  return false;
};

const waysOut = ({ node }: State): boolean =>
  [node.on, node.after].some((map) => map !== undefined && Object.keys(map).length > 0) ||
  node.always !== undefined ||
  node.onDone !== undefined;

const deadEnds = (policy: Policy, tree: StateTree, reached: ReadonlySet<State>): readonly Finding[] =>
  tree.states
    .filter((state) => {
      if (state.children.size > 0 || state.node.type === 'final' || tagged(state) || !reached.has(state)) return false;
      for (let up: State | null = state; up !== null; up = up.parent) {
        if (waysOut(up)) return false;
        // Another region may take the parallel state on.
        if (up.parent?.node.type === 'parallel') return false;
      }
      return true;
    })
    .map((state) =>
      finding(
        'dead-end',
        pathOf(state),
        `nothing leads out of "${state.path.join('.')}"${policy.unexpected === 'violation' ? ', so that every later call is a violation' : ''}; if that is meant, make it {type: final}`,
      ),
    );

/** A deadline that leaves the state without a condition makes every later one of the same state void. */
const deadlines = (tree: StateTree): readonly Finding[] =>
  tree.states.flatMap((state) => {
    const delays = Object.entries(state.node.after ?? {}).sort(([a], [b]) => Number(a) - Number(b));
    const last = delays.findIndex(([, list]) =>
      listOf(list).some(
        (one) => one.guard === undefined && targetOf(one) !== undefined && !targetOf(one)!.startsWith('.'),
      ),
    );
    if (last < 0) return [];
    return delays
      .slice(last + 1)
      .map(([delay]) =>
        finding(
          'unreachable-deadline',
          [...pathOf(state), 'after', delay],
          `the state is left after ${delays[last]![0]} ms already`,
        ),
      );
  });

const unusedFunctions = (policy: Policy, arrows: readonly Arrow[]): readonly Finding[] => {
  const used = new Set(arrows.map(({ event }) => event));
  // A star answers every call.
  if (used.has('*')) return [];
  return [...policy.functions.keys()]
    .filter((name) => !used.has(name))
    .map((name) =>
      finding(
        'unused-function',
        ['functions', name],
        policy.unexpected === 'violation'
          ? 'no state has a transition for it, so that every call of it is a violation'
          : 'no state has a transition for it: it is watched for nothing',
      ),
    );
};

const unusedParameters = (policy: Policy, read: ReadonlySet<string>): readonly Finding[] =>
  [...policy.functions].flatMap(([name, { parameters }]) =>
    [...parameters]
      .filter(([parameter, { release }]) => {
        const key = policy.slice?.by === 'parameter' && policy.slice.keys.get(name) === parameter;
        return release !== 'none' && !key && !read.has(parameter);
      })
      .map(([parameter, { release }]) =>
        finding(
          'unused-parameter',
          ['functions', name, 'parameters', parameter],
          `released as ${release}, but no expression reads it; write none to keep it on the host`,
        ),
      ),
  );

const neverViolated = (policy: Policy, tree: StateTree): readonly Finding[] =>
  policy.unexpected === 'violation' || policy.openAtExit === 'violation' || tree.states.some(tagged)
    ? []
    : [
        finding(
          'never-violated',
          ['unexpected'],
          'unexpected calls are ignored and no state is tagged "violation": nothing can be violated',
        ),
      ];
