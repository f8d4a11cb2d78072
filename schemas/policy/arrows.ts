import type { StateNode, Transition } from './policy.js';
import type { Path } from './problems.js';
import { activeWith, resolveTarget, type State, type StateTree, targetOf } from './state-tree.js';
import { listOf } from './transitions.js';

/** One candidate of a transition, with its place in the document. */
export interface Arrow {
  readonly from: State;
  readonly path: Path;
  readonly transition: Transition;
  readonly when: 'on' | 'after' | 'always' | 'onDone';
  /** The key under `on`; empty elsewhere. */
  readonly event: string;
}

export const pathOf = (state: State): Path => ['machine', ...state.path.flatMap((key) => ['states', key])];

export const arrowsOf = (from: State): readonly Arrow[] => {
  const at = pathOf(from);
  const { node } = from;
  const of = (list: StateNode['always'], path: Path, when: Arrow['when'], event = ''): readonly Arrow[] =>
    listOf(list).map((transition, i) => ({
      from,
      path: Array.isArray(list) ? [...path, i] : path,
      transition,
      when,
      event,
    }));
  return [
    ...Object.entries(node.on ?? {}).flatMap(([event, list]) => of(list, [...at, 'on', event], 'on', event)),
    ...Object.entries(node.after ?? {}).flatMap(([delay, list]) => of(list, [...at, 'after', delay], 'after')),
    ...of(node.always, [...at, 'always'], 'always'),
    ...of(node.onDone, [...at, 'onDone'], 'onDone'),
  ];
};

/** States that may be active if every guard may be true and every event may come. */
export const reachable = (tree: StateTree, arrows: readonly Arrow[]): ReadonlySet<State> => {
  const outgoing = new Map<State, Arrow[]>();
  for (const arrow of arrows) {
    const known = outgoing.get(arrow.from);
    if (known === undefined) outgoing.set(arrow.from, [arrow]);
    else known.push(arrow);
  }
  const reached = new Set(activeWith(tree.root));
  const entered = new Set<State>();
  // A set is walked in order of insertion, what is added on the way included.
  for (const state of reached)
    for (const { transition } of outgoing.get(state) ?? []) {
      const target = targetOf(transition);
      const resolved = target === undefined ? undefined : resolveTarget(tree, state, target);
      if (resolved === undefined || !('state' in resolved)) continue;
      // An ancestor that is parallel starts its other regions, too.
      for (let up: State | null = resolved.state; up !== null; up = up.parent) {
        if (up !== resolved.state && up.node.type !== 'parallel') reached.add(up);
        else if (!entered.has(up)) {
          entered.add(up);
          for (const active of activeWith(up)) reached.add(active);
        }
      }
    }
  return reached;
};
