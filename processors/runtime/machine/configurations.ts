import type { Configuration } from './machine.js';
import type { Rest } from './macrostep.js';
import { ancestors, isLeaf, type Node } from './node.js';
import type { StateTree } from './state-tree.js';

export interface Configurations {
  /** Number of a resting machine, a new one at its first appearance. */
  number(rest: Rest): Configuration;
  rest(configuration: Configuration): Rest;
  count(): number;
  active(configuration: Configuration): readonly number[];
  describe(configuration: Configuration): string;
  named(word: string): Configuration;
  violating(configuration: Configuration): boolean;
}

const byOrder = (a: Node, b: Node): number => a.order - b.order;

/** The dense numbers of one machine's configurations and what is known of each. */
export const configurations = (tree: StateTree): Configurations => {
  const keepsOrder = orderMatters(tree.nodes);
  const numbers = new Map<string, Configuration>();
  const rests: Rest[] = [];
  const words: string[] = [];
  const running: (readonly number[])[] = [];
  const violating: boolean[] = [];
  return {
    number(given) {
      const inner = given.active.filter((node) => !isLeaf(node)).sort(byOrder);
      const leaves = given.active.filter(isLeaf);
      if (!keepsOrder) leaves.sort(byOrder);
      const rest: Rest = { active: [...inner, ...leaves], spent: given.spent, done: given.done };
      const word = wordOf(leaves, rest.spent, tree);
      const known = numbers.get(word);
      if (known !== undefined) return known;
      const number = rests.push(rest) - 1;
      numbers.set(word, number);
      words.push(word);
      const nodes = [...rest.active].sort(byOrder);
      running.push(
        rest.done ? [] : nodes.flatMap((node) => node.timers.filter((timer) => !rest.spent.includes(timer))),
      );
      violating.push(nodes.some((node) => node.violation));
      return number;
    },
    rest: (configuration) => rests[configuration]!,
    count: () => rests.length,
    active: (configuration) => running[configuration]!,
    describe: (configuration) => words[configuration]!,
    named: (word) => numbers.get(word) ?? -1,
    violating: (configuration) => violating[configuration]!,
  };
};

/**
 * Leaves, sorted; then what else tells configurations apart: leaves in another order than the document's (`/1,0`),
 * and timers that have fired while their state stayed (`!idle@5000000`).
 */
const wordOf = (leaves: readonly Node[], spent: readonly number[], tree: StateTree): string => {
  const names = leaves.map((leaf) => leaf.path).sort();
  const order = [...leaves].sort(byOrder);
  const moved = order.some((leaf, i) => leaf !== leaves[i]);
  const fired = [...spent]
    .sort((a, b) => a - b)
    .map((timer) => `!${tree.timers[timer]!.state}@${tree.timers[timer]!.delay}`);
  return names.join('|') + (moved ? `/${leaves.map((leaf) => order.indexOf(leaf)).join()}` : '') + fired.join('');
};

/**
 * XState asks `always` transitions leaf by leaf, leaves entered first come first. That order is part of a configuration
 * only if two leaves of parallel regions could ask different nodes.
 */
const orderMatters = (nodes: readonly Node[]): boolean => {
  const asking = nodes.filter((node) => node.always.length > 0);
  return asking.some((one) =>
    ancestors(one, undefined).some((parallel, i, above) => {
      if (parallel.type !== 'parallel') return false;
      const region = i === 0 ? one : above[i - 1]!;
      const inRegion = (node: Node): boolean => node === region || ancestors(node, undefined).includes(region);
      return asking.some((other) => other !== one && !inRegion(other) && related(other, parallel));
    }),
  );
};

/** On the way from the root to `parallel`, or below it. */
const related = (node: Node, parallel: Node): boolean =>
  node === parallel || ancestors(node, undefined).includes(parallel) || ancestors(parallel, undefined).includes(node);
