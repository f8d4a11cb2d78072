import { AttestreamError } from '../../../schemas/errors.js';
import type { Expression } from '../../../schemas/policy/expression.js';
import { descriptorsFor } from './event-descriptor.js';
import { type Act, type Arrow, ancestors, isComplete, isLeaf, type Node } from './node.js';
import { doneEvent, type StateTree } from './state-tree.js';
import { entrySet, exitSet, withoutConflicts } from './transition-sets.js';

/** A machine at rest: what decides which steps it can take. */
export interface Rest {
  /** Active nodes; leaves in XState's order, which decides between `always` transitions of parallel regions. */
  readonly active: readonly Node[];
  /** Timers of active nodes that have fired already and were not started again. */
  readonly spent: readonly number[];
  readonly done: boolean;
}

/** What drives a macrostep: the start, an event, or a timer that is due (its event and its number). */
export type Stimulus = { readonly event: string; readonly timer?: number } | 'start';

/** Where a macrostep meets the data. Answers decide the path; expressions come with the raised event around them, if any. */
export interface Path {
  ask(guard: Expression, raised: string | undefined): boolean;
  assign(
    assigns: readonly { readonly variable: number; readonly value: Expression }[],
    raised: string | undefined,
  ): void;
  /** Answers taken from outside so far, folded ones not counted. */
  readonly asked: number;
  /** The answers that still hold, as one word. */
  known(): string;
}

export interface End {
  readonly rest: Rest;
  readonly taken: boolean;
  /** A state tagged `violation` was entered, be it in passing. */
  readonly violation: boolean;
  readonly exited: readonly number[];
  readonly entered: readonly number[];
}

/** Bound on one macrostep; XState itself has none and hangs. */
const MAX_MICROSTEPS = 256;

const unbounded = (tree: StateTree, active: Iterable<Node>): AttestreamError => {
  const where = [...active].filter(isLeaf).map((node) => node.path || tree.root.id);
  return new AttestreamError(
    'MACHINE_UNBOUNDED',
    `Transitions without an event, or raised events, may follow each other without end at ${where.join(', ')}. ` +
      'Let the loop wait for an event, or leave it by a state that has no `always`.',
    { path: 'machine' },
  );
};

/**
 * Runs one macrostep along one path of guard answers: XState 5's algorithm over node sets, with guards and assigns
 * handed to `path`. Throws MACHINE_UNBOUNDED.
 */
export const macrostep = (tree: StateTree, from: Rest, stimulus: Stimulus, path: Path): End => {
  const active = new Set(from.active);
  const running = new Set<number>();
  for (const node of from.active) for (const timer of node.timers) if (!from.spent.includes(timer)) running.add(timer);
  const exited: number[] = [];
  const started = new Set<number>();
  const queue: string[] = [];
  let raised: string | undefined;
  let event = stimulus === 'start' ? '' : stimulus.event;
  let done = from.done;
  let taken = stimulus === 'start';
  let violation = false;
  let assigns = 0;

  const firstEnabled = (arrows: readonly Arrow[]): Arrow | undefined =>
    arrows.find((arrow) => arrow.guard === undefined || path.ask(arrow.guard, raised));

  const ownTransition = (node: Node): readonly Arrow[] => {
    const found = firstEnabled(candidates(node, event));
    return found === undefined ? [] : [found];
  };

  /** Inner states first; a region that answers speaks for its parallel state. */
  const selected = (node: Node): readonly Arrow[] => {
    const inner: Arrow[] = [];
    for (const child of node.children.values()) if (active.has(child)) inner.push(...selected(child));
    return inner.length > 0 ? inner : ownTransition(node);
  };

  const selectedAlways = (): readonly Arrow[] => {
    const found = new Set<Arrow>();
    for (const leaf of active) {
      if (!isLeaf(leaf)) continue;
      for (const node of [leaf, ...ancestors(leaf, undefined)]) {
        const arrow = firstEnabled(node.always);
        if (arrow === undefined) continue;
        found.add(arrow);
        break;
      }
    }
    return withoutConflicts([...found], active);
  };

  const act = (one: Act): void => {
    if (one.is === 'assign') {
      assigns++;
      path.assign(one.assigns, raised);
    } else if (one.is === 'raise') {
      queue.push(one.event);
    } else {
      // A start without a stop before (the root entered again from inside) is a restart.
      started.delete(one.timer);
      if (running.delete(one.timer)) exited.push(one.timer);
      if (one.is === 'start') started.add(one.timer);
    }
  };

  const enter = (node: Node, completed: Set<Node>): void => {
    active.add(node);
    if (node.violation) violation = true;
    node.entry.forEach(act);
    if (node.type !== 'final') return;
    if (node.parent?.type === 'compound') queue.push(doneEvent(node.parent));
    let above = node.parent?.type === 'parallel' ? node.parent : node.parent?.parent;
    while (above?.type === 'parallel' && !completed.has(above) && isComplete(active, above)) {
      completed.add(above);
      queue.push(doneEvent(above));
      above = above.parent;
    }
    if (above === undefined) done = true;
  };

  /** True if XState would see another snapshot than before: the condition on which it asks `always` again. */
  const microstep = (arrows: readonly Arrow[], initial = false): boolean => {
    const before = new Set(active);
    const assignsBefore = assigns;
    const chosen = withoutConflicts(arrows, active);
    for (const node of initial ? [] : exitSet(chosen, active)) {
      node.exit.forEach(act);
      active.delete(node);
    }
    for (const arrow of chosen) arrow.acts.forEach(act);
    const completed = new Set<Node>();
    for (const node of entrySet(chosen)) enter(node, completed);
    if (done) for (const node of [...active].sort((a, b) => b.order - a.order)) node.exit.forEach(act);
    const same = before.size === active.size && [...active].every((node) => before.has(node));
    if (same) {
      // XState keeps the old order of leaves if the set is the same.
      active.clear();
      for (const node of before) active.add(node);
    }
    return !same || done || assigns !== assignsBefore;
  };

  const end = (): End => {
    const order = [...started];
    const spent = [...active].flatMap((node) => node.timers.filter((one) => !running.has(one) && !started.has(one)));
    return { rest: { active: [...active], spent: done ? [] : spent, done }, taken, violation, exited, entered: order };
  };

  if (stimulus === 'start') {
    const targets = initialTargets(tree.root);
    active.add(tree.root);
    microstep([{ source: tree.root, targets, guard: undefined, acts: [], reenter: true }], true);
  } else {
    if (stimulus.timer !== undefined && running.delete(stimulus.timer)) exited.push(stimulus.timer);
    const arrows = selected(tree.root);
    taken = arrows.some(moves);
    microstep(arrows);
  }

  /** Askable states of the loop below, and how many questions had been asked there. */
  const seen = new Map<string, number>();
  let askAlways = true;
  for (let steps = 0; !done; steps++) {
    const nodes = [...active].map((node) => node.order);
    const state = JSON.stringify([nodes, askAlways, raised ?? null, queue, path.known()]);
    const askedThen = seen.get(state);
    if (askedThen !== undefined || steps > MAX_MICROSTEPS) {
      // Questions asked on the way round may be answered differently next time: whether data ends the loop cannot be told.
      if (askedThen !== path.asked || path.asked === 0) throw unbounded(tree, active);
      // These answers together would hang XState; mostly no data gives them. Should some do, it is no legal run.
      violation = true;
      taken = true;
      break;
    }
    seen.set(state, path.asked);
    const always = askAlways ? selectedAlways() : [];
    if (always.length > 0) {
      if (always.some(moves)) taken = true;
      askAlways = microstep(always);
      continue;
    }
    if (queue.length === 0) break;
    event = raised = queue.shift()!;
    microstep(selected(tree.root));
    askAlways = true;
  }
  return end();
};

/** No active state speaks of the event, nor has an `always` that might use the occasion: nothing can happen. */
export const isDeaf = (rest: Rest, event: string): boolean =>
  rest.active.every((node) => node.always.length === 0 && candidates(node, event).length === 0);

const candidates = (node: Node, event: string): readonly Arrow[] => {
  if (node.transitions.size === 0) return [];
  let known = candidatesOf.get(node);
  if (known === undefined) {
    known = new Map();
    candidatesOf.set(node, known);
  }
  let arrows = known.get(event);
  if (arrows === undefined) {
    arrows = descriptorsFor(node.transitions.keys(), event).flatMap((descriptor) => node.transitions.get(descriptor)!);
    known.set(event, arrows);
  }
  return arrows;
};
const candidatesOf = new WeakMap<Node, Map<string, readonly Arrow[]>>();

/** XState's `can`: a transition with neither target nor actions only forbids. */
const moves = (arrow: Arrow): boolean => arrow.targets !== undefined || arrow.acts.length > 0;

const initialTargets = (root: Node): Node[] => {
  const targets: Node[] = [];
  const pending = [root];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    targets.push(node);
    if (node.type === 'compound') pending.push(node.initial!);
    else if (node.type === 'parallel') pending.push(...[...node.children.values()].reverse());
  }
  return targets;
};
