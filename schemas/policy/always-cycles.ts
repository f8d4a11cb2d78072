import type { Transition } from './policy.js';
import { activeWith, resolveTarget, type State, type StateTree, targetOf } from './state-tree.js';
import { listOf } from './transitions.js';

/**
 * Chains of `always` without a guard that lead back to where they began: such a machine would never come to rest.
 * Each is given as the states that it passes, the first one again at the end.
 */
export const alwaysCycles = (tree: StateTree): readonly (readonly State[])[] => {
  const next = new Map<State, readonly State[]>();
  const moves = (state: State): readonly State[] => {
    let known = next.get(state);
    if (known === undefined) {
      known = unguarded(state).flatMap((transition) => {
        const target = targetOf(transition);
        if (target === undefined) return [state];
        const resolved = resolveTarget(tree, state, target);
        return 'state' in resolved ? activeWith(resolved.state).filter((active) => unguarded(active).length > 0) : [];
      });
      next.set(state, known);
    }
    return known;
  };
  const cycles: State[][] = [];
  const done = new Set<State>();
  for (const start of tree.states) {
    // Depth-first with an own stack; `trail` holds the states that the chain has passed.
    const trail: { state: State; rest: State[] }[] = [];
    const enter = (state: State): void => {
      trail.push({ state, rest: [...moves(state)] });
    };
    if (!done.has(start)) enter(start);
    while (trail.length > 0) {
      const { state, rest } = trail[trail.length - 1]!;
      const to = rest.shift();
      if (to === undefined) {
        done.add(state);
        trail.pop();
        continue;
      }
      const from = trail.findIndex((passed) => passed.state === to);
      if (from >= 0) cycles.push([...trail.slice(from).map((passed) => passed.state), to]);
      else if (!done.has(to)) enter(to);
    }
  }
  return cycles;
};

const unguarded = (state: State): readonly Transition[] =>
  listOf(state.node.always).filter((transition) => transition.guard === undefined);
