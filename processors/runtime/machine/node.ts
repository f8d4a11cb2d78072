import type { Expression } from '../../../schemas/policy/expression.js';

/** A state of the machine with its references resolved. Built once by `state-tree`, then only read. */
export interface Node {
  /** Place in document order: entry goes up, exit goes down. */
  readonly order: number;
  readonly key: string;
  readonly id: string;
  /** Keys below the root joined by dots; empty for the root. */
  readonly path: string;
  readonly type: 'atomic' | 'compound' | 'parallel' | 'final';
  readonly parent: Node | undefined;
  readonly children: ReadonlyMap<string, Node>;
  readonly initial: Node | undefined;
  readonly violation: boolean;
  /** The user's actions, then the start (or stop) of the node's timers. */
  readonly entry: readonly Act[];
  readonly exit: readonly Act[];
  readonly transitions: ReadonlyMap<string, readonly Arrow[]>;
  readonly always: readonly Arrow[];
  readonly timers: readonly number[];
}

/** A transition. Without `targets` it stays; without `acts` either it forbids: it stops the event from bubbling up. */
export interface Arrow {
  readonly source: Node;
  readonly targets: readonly Node[] | undefined;
  readonly guard: Expression | undefined;
  readonly acts: readonly Act[];
  readonly reenter: boolean;
}

export type Act =
  | { readonly is: 'assign'; readonly assigns: readonly { readonly variable: number; readonly value: Expression }[] }
  | { readonly is: 'raise'; readonly event: string }
  | { readonly is: 'start' | 'stop'; readonly timer: number };

export const isLeaf = (node: Node): boolean => node.type === 'atomic' || node.type === 'final';

/** Below `ancestor`, itself excluded. Everything, the root too, lies below `undefined`. */
export const isBelow = (node: Node, ancestor: Node | undefined): boolean => {
  if (ancestor === undefined) return true;
  for (let at = node.parent; at !== undefined; at = at.parent) if (at === ancestor) return true;
  return false;
};

/** Proper ancestors from the parent up, `until` excluded. */
export const ancestors = (node: Node, until: Node | undefined): Node[] => {
  const above: Node[] = [];
  if (node === until) return above;
  for (let at = node.parent; at !== undefined && at !== until; at = at.parent) above.push(at);
  return above;
};

/** A compound node is complete in a final child, a parallel one when all its regions are. */
export const isComplete = (active: ReadonlySet<Node>, node: Node): boolean => {
  if (node.type === 'final') return true;
  const children = [...node.children.values()];
  if (node.type === 'compound') return children.some((child) => child.type === 'final' && active.has(child));
  return node.type === 'parallel' && children.every((child) => isComplete(active, child));
};
