import { didYouMean } from '../suggest.js';
import type { MachineConfig, StateNode } from './policy.js';

/** A state of the machine with its place in the tree. */
export interface State {
  readonly key: string;
  /** Keys from below the root; empty for the root. */
  readonly path: readonly string[];
  readonly node: StateNode;
  readonly parent: State | null;
  readonly children: ReadonlyMap<string, State>;
}

export interface StateTree {
  readonly root: State;
  /** Every state, parents before their children, in the document's order. */
  readonly states: readonly State[];
  /** By `id`; the root's is `(machine)` where it has none. */
  readonly byId: ReadonlyMap<string, State>;
}

/** The id of a machine that states none, as XState has it. */
const ROOT_ID = '(machine)';

/** Depth is bounded by the document's. */
export const stateTree = (config: MachineConfig): StateTree => {
  const states: State[] = [];
  const byId = new Map<string, State>();
  const grow = (key: string, path: readonly string[], node: StateNode, parent: State | null): State => {
    const children = new Map<string, State>();
    const state: State = { key, path, node, parent, children };
    states.push(state);
    const id = node.id ?? (parent === null ? ROOT_ID : undefined);
    if (id !== undefined && !byId.has(id)) byId.set(id, state);
    for (const [name, child] of Object.entries(node.states ?? {}))
      children.set(name, grow(name, [...path, name], child, state));
    return state;
  };
  return { root: grow('', [], config, null), states, byId };
};

export type Resolved = { readonly state: State } | { readonly what: string; readonly suggestion: string };

/**
 * The state that a transition's target names, by XState's rules: `#id` and `#id.child` from anywhere, `.child` below the
 * source, else a path that begins at a sibling of the source.
 */
export const resolveTarget = (tree: StateTree, from: State, target: string): Resolved => {
  if (target.startsWith('#')) {
    const [id = '', ...rest] = target.slice(1).split('.');
    const state = tree.byId.get(id);
    if (state === undefined)
      return { what: `no state has the id "${id}"`, suggestion: didYouMean(id, tree.byId.keys()) };
    return descend(state, rest);
  }
  if (target.startsWith('.')) return descend(from, target.slice(1).split('.'));
  if (from.parent === null)
    return {
      what: `target "${target}" is not reachable by that name from the machine itself`,
      suggestion: `did you mean ".${target}"?`,
    };
  return descend(from.parent, target.split('.'));
};

const descend = (from: State, keys: readonly string[]): Resolved => {
  let state = from;
  for (const key of keys) {
    const child = state.children.get(key);
    if (child === undefined) {
      const owner = state.parent === null ? 'the machine' : `"${state.path.join('.')}"`;
      return { what: `${owner} has no state "${key}"`, suggestion: didYouMean(key, state.children.keys()) };
    }
    state = child;
  }
  return { state };
};

/** A transition's single target, none for one without. */
export const targetOf = (transition: { readonly target?: string | readonly string[] }): string | undefined =>
  typeof transition.target === 'string' ? transition.target : transition.target?.[0];

/** All states that are active once `state` has been entered from outside: its ancestors, itself, and what starts inside it. */
export const activeWith = (state: State): readonly State[] => {
  const active: State[] = [];
  for (let up: State | null = state; up !== null; up = up.parent) active.push(up);
  const down = [state];
  while (down.length > 0) {
    const next = down.pop()!;
    if (next !== state) active.push(next);
    if (next.node.type === 'parallel') down.push(...next.children.values());
    else if (next.node.initial !== undefined) {
      const initial = next.children.get(next.node.initial);
      if (initial !== undefined) down.push(initial);
    }
  }
  return active;
};
