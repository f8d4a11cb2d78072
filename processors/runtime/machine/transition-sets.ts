import { type Arrow, ancestors, isBelow, type Node } from './node.js';

/**
 * Which states a set of transitions leaves and enters: SCXML's algorithm as XState 5 runs it, its own corners included
 * (a transition that stays inside of its source does not leave it unless it says `reenter`).
 */

/** The smallest state that stays active while the transition runs; `undefined`: even the root is left. */
const domain = (arrow: Arrow): Node | undefined => {
  const targets = arrow.targets ?? [];
  if (!arrow.reenter && targets.every((target) => target === arrow.source || isBelow(target, arrow.source))) {
    return arrow.source;
  }
  const [head, ...rest] = [...targets, arrow.source];
  for (const above of ancestors(head!, undefined)) if (rest.every((node) => isBelow(node, above))) return above;
  if (arrow.reenter) return undefined;
  let root = arrow.source;
  while (root.parent !== undefined) root = root.parent;
  return root;
};

/** In the order of exit: last in the document first. */
export const exitSet = (arrows: readonly Arrow[], active: ReadonlySet<Node>): readonly Node[] => {
  const left = new Set<Node>();
  for (const arrow of arrows) {
    if (!arrow.targets?.length) continue;
    const stays = domain(arrow);
    for (const node of active) if (isBelow(node, stays)) left.add(node);
  }
  return [...left].sort((a, b) => b.order - a.order);
};

/** Of two transitions that would leave a common state, the one from further inside wins, else the earlier one. */
export const withoutConflicts = (arrows: readonly Arrow[], active: ReadonlySet<Node>): readonly Arrow[] => {
  if (arrows.length < 2) return arrows;
  const kept = new Map<Arrow, ReadonlySet<Node>>();
  for (const arrow of new Set(arrows)) {
    const leaves = new Set(exitSet([arrow], active));
    const beaten: Arrow[] = [];
    let wins = true;
    for (const [other, others] of kept) {
      if (![...leaves].some((node) => others.has(node))) continue;
      if (!isBelow(arrow.source, other.source)) {
        wins = false;
        break;
      }
      beaten.push(other);
    }
    if (!wins) continue;
    for (const other of beaten) kept.delete(other);
    kept.set(arrow, leaves);
  }
  return [...kept.keys()];
};

/** In the order of entry: document order. */
export const entrySet = (arrows: readonly Arrow[]): readonly Node[] => {
  const entered = new Set<Node>();
  for (const arrow of arrows) {
    const stays = domain(arrow);
    for (const target of arrow.targets ?? []) {
      // Only a transition to its own source that does not leave it keeps the target as it is.
      if (target !== arrow.source || arrow.source !== stays || arrow.reenter) entered.add(target);
      enterBelow(target, entered);
    }
    const shelter = arrow.source.parent === undefined && arrow.reenter ? undefined : stays;
    for (const target of new Set(arrow.targets ?? [])) {
      const above = ancestors(target, stays);
      // A parallel state that stays has lost all of its regions, not only those that are targets.
      if (stays?.type === 'parallel') above.push(stays);
      enterAbove(above, shelter, entered);
    }
  }
  return [...entered].sort((a, b) => a.order - b.order);
};

const enterRegions = (parallel: Node, entered: Set<Node>): void => {
  for (const region of parallel.children.values()) {
    let inside = false;
    for (const node of entered) if (isBelow(node, region)) inside = true;
    if (inside) continue;
    entered.add(region);
    enterBelow(region, entered);
  }
};

/** Recursion as deep as the tree, whose depth `state-tree` bounds. */
const enterBelow = (node: Node, entered: Set<Node>): void => {
  if (node.type === 'compound' && node.initial !== undefined) {
    entered.add(node.initial);
    enterBelow(node.initial, entered);
  } else if (node.type === 'parallel') {
    enterRegions(node, entered);
  }
};

const enterAbove = (above: readonly Node[], shelter: Node | undefined, entered: Set<Node>): void => {
  for (const node of above) {
    if (isBelow(node, shelter)) entered.add(node);
    if (node.type === 'parallel') enterRegions(node, entered);
  }
};
