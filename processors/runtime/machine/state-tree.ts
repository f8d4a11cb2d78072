import { AttestreamError } from '../../../schemas/errors.js';
import type { Expression } from '../../../schemas/policy/expression.js';
import type { Actions, Guard, Policy, StateNode, Transition, Transitions } from '../../../schemas/policy/policy.js';
import type { ScalarType } from '../../../schemas/policy/value.js';
import type { Timer } from './machine.js';
import type { Act, Arrow, Node } from './node.js';
import { splitPath } from './state-path.js';

/** Compiles one CEL text or a bare constant; `expected` is bool for guards and the variable's type for assigns. */
export type CompileExpression = (source: string | number | boolean, expected: ScalarType, path: string) => Expression;

export interface StateTree {
  readonly root: Node;
  /** All nodes in document order. */
  readonly nodes: readonly Node[];
  readonly timers: readonly Timer[];
  /** Per timer the event that XState sends when it is due. */
  readonly timerEvents: readonly string[];
  /** Events of `raise` actions, in order of appearance. */
  readonly raised: readonly string[];
}

/** Recursion over the tree is safe below this depth; nobody draws deeper machines. */
const MAX_DEPTH = 64;
const MAX_NODES = 4096;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
interface Draft extends Mutable<Node> {
  readonly config: StateNode;
  children: Map<string, Draft>;
}

const asList = <T>(value: T | readonly T[] | null | undefined): readonly T[] =>
  value === undefined || value === null ? [] : Array.isArray(value) ? (value as readonly T[]) : [value as T];

const invalid = (message: string, path: string): AttestreamError =>
  new AttestreamError('POLICY_INVALID', message, { path: path === '' ? 'machine' : `machine, state ${path}` });

/** Resolves the configuration's names into nodes. Throws POLICY_INVALID for a name that leads nowhere, MACHINE_TOO_LARGE. */
export const stateTree = (policy: Policy, compile: CompileExpression): StateTree => {
  const nodes = layOut(policy.machine);
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const timers: Timer[] = [];
  const timerEvents: string[] = [];
  const raised = new Set<string>();
  const variables = new Map(policy.variables.map((variable, index) => [variable.name, { ...variable, index }]));
  const expressions = new Map<string, Expression>();

  /** One object per text and type: equal guards are then known to be equal. */
  const expression = (source: string | number | boolean, expected: ScalarType, path: string): Expression => {
    const key = `${expected} ${typeof source} ${source}`;
    let known = expressions.get(key);
    if (known === undefined) {
      known = compile(source, expected, path);
      expressions.set(key, known);
    }
    return known;
  };

  const follow = (from: Draft, keys: readonly string[], name: string, owner: Draft): Draft => {
    let at = from;
    for (const key of keys) {
      if (key === '') break;
      const next = at.children.get(key);
      if (next === undefined) throw invalid(`The target "${name}" names no state.`, owner.path);
      at = next;
    }
    return at;
  };

  const find = (owner: Draft, name: string): Draft => {
    const keys = splitPath(name.startsWith('#') ? name.slice(1) : name);
    if (name.startsWith('#')) {
      const head = byId.get(keys[0]!);
      if (head === undefined) throw invalid(`The target "${name}" names no state's id.`, owner.path);
      return follow(head, keys.slice(1), name, owner);
    }
    if (name.startsWith('.')) return follow(owner, keys.slice(1), name, owner);
    if (owner.parent === undefined) throw invalid(`From the root a target needs a dot: ".${name}".`, owner.path);
    return follow(owner.parent as Draft, keys, name, owner);
  };

  const guardOf = (owner: Draft, guard: Guard): Expression => {
    if (typeof guard === 'string') return expression(guard, 'bool', owner.path);
    throw invalid(`The guard type "${guard.type}" is not known here. Write a CEL expression.`, owner.path);
  };

  const acts = (owner: Draft, actions: Actions | undefined): Act[] =>
    asList(actions).map((action): Act => {
      if (action.type === 'raise') {
        raised.add(action.params.event);
        return { is: 'raise', event: action.params.event };
      }
      const assigns = Object.entries(action.params).map(([name, value]) => {
        const variable = variables.get(name);
        if (variable === undefined) throw invalid(`The assigned variable "${name}" is not in context.`, owner.path);
        return { variable: variable.index, value: expression(value, variable.type, owner.path) };
      });
      return { is: 'assign', assigns };
    });

  const arrow = (owner: Draft, written: string | Transition | null | undefined): Arrow => {
    const transition = typeof written === 'string' ? { target: written } : (written ?? {});
    const named = transition.target === '' ? undefined : transition.target;
    return {
      source: owner,
      targets: named === undefined ? undefined : asList<string>(named).map((name) => find(owner, name)),
      guard: transition.guard ? guardOf(owner, transition.guard) : undefined,
      acts: acts(owner, transition.actions),
      reenter: transition.reenter ?? false,
    };
  };

  const arrows = (owner: Draft, written: Transitions | null | undefined): Arrow[] =>
    (Array.isArray(written) ? written : [written]).map((one: string | Transition | null | undefined) =>
      arrow(owner, one),
    );

  for (const node of nodes) {
    const { config } = node;
    if (config.initial !== undefined) node.initial = node.children.get(config.initial);
    if (node.type === 'compound' && node.initial === undefined) {
      throw invalid('A state with inner states needs `initial`, naming one of them.', node.path);
    }
    const transitions = new Map<string, Arrow[]>();
    for (const [event, written] of Object.entries(config.on ?? {})) transitions.set(event, arrows(node, written));
    if (config.onDone !== undefined) transitions.set(doneEvent(node), arrows(node, config.onDone));
    const own: number[] = [];
    for (const [delay, written] of Object.entries(config.after ?? {})) {
      own.push(timers.length);
      const event = timerEvent(node, delay);
      transitions.set(event, [
        ...(transitions.get(event) ?? []),
        ...(written === undefined ? [] : arrows(node, written)),
      ]);
      timers.push({ state: node.path, delay: Math.round(Number(delay) * 1000) });
      timerEvents.push(event);
    }
    node.entry = [...acts(node, config.entry), ...own.map((timer): Act => ({ is: 'start', timer }))];
    node.exit = [...acts(node, config.exit), ...own.map((timer): Act => ({ is: 'stop', timer }))];
    node.transitions = transitions;
    node.always = config.always === undefined ? [] : arrows(node, config.always);
    node.timers = own;
  }
  return { root: nodes[0]!, nodes, timers, timerEvents, raised: [...raised] };
};

/** Event that XState raises when the inner states of a node are complete. */
export const doneEvent = (node: Node): string => `xstate.done.state.${node.id}`;

const timerEvent = (node: Node, delay: string): string => `xstate.after.${Number(delay)}.${node.id}`;

/** Nodes in document order with keys, ids and types, nothing resolved yet. */
const layOut = (machine: StateNode): Draft[] => {
  const nodes: Draft[] = [];
  const rootId = machine.id || '(machine)';
  const pending: { config: StateNode; key: string; parent: Draft | undefined; depth: number; idPath: string }[] = [
    { config: machine, key: rootId, parent: undefined, depth: 0, idPath: rootId },
  ];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { config, key, parent, depth, idPath } = next;
    if (depth > MAX_DEPTH || nodes.length >= MAX_NODES) {
      throw new AttestreamError(
        'MACHINE_TOO_LARGE',
        `The machine has more than ${MAX_NODES} states or more than ${MAX_DEPTH} levels.`,
        { path: 'machine' },
      );
    }
    const inner = Object.entries(config.states ?? {});
    const node: Draft = {
      config,
      order: nodes.length,
      key,
      id: config.id || idPath,
      path: parent === undefined ? '' : parent.path === '' ? key : `${parent.path}.${key}`,
      type: config.type ?? (inner.length > 0 ? 'compound' : 'atomic'),
      parent,
      children: new Map(),
      initial: undefined,
      violation: asList(config.tags).includes('violation'),
      entry: [],
      exit: [],
      transitions: new Map(),
      always: [],
      timers: [],
    };
    nodes.push(node);
    parent?.children.set(key, node);
    // Reversed, as the stack gives the last one first.
    for (const [name, state] of inner.reverse()) {
      pending.push({ config: state, key: name, parent: node, depth: depth + 1, idPath: `${idPath}.${name}` });
    }
  }
  return nodes;
};
