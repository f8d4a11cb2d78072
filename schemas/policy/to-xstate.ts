import { assign, raise } from 'xstate';
import { compileExpression } from './cel/compile.js';
import { scopeOf } from './cel/scope.js';
import type { Environment, Expression } from './expression.js';
import type { MachineConfig, Policy } from './policy.js';
import { stateTree } from './state-tree.js';
import { listOf } from './transitions.js';
import type { ScalarType, Value } from './value.js';

/** An event as the machine takes it inside XState: a call with its parameters by name. */
export interface CallEvent {
  readonly type: string;
  readonly args?: Readonly<Record<string, Value>>;
  /** Microseconds; `notBefore` is `at` where it is absent. */
  readonly at?: number;
  readonly notBefore?: number;
  readonly thread?: number;
  readonly callers?: readonly string[];
}

/** Variables by name; whole numbers are CEL ints, `Real` holds a double. */
export type MachineContext = Record<string, Value>;

interface Given {
  readonly context: MachineContext;
  readonly event: CallEvent;
}

/** What XState needs to run a policy's machine: `setup({ guards, actions }).createMachine(config)`. */
export interface XStateParts {
  /** The machine of the document, with the first values of its variables as expressions take them. */
  readonly config: MachineConfig;
  /** Each named by its CEL text, as the configuration names it. */
  readonly guards: Readonly<Record<string, (given: Given) => boolean>>;
  readonly actions: {
    readonly assign: ReturnType<typeof assign<MachineContext, CallEvent, Assignments, CallEvent, never>>;
    readonly raise: ReturnType<typeof raise<MachineContext, CallEvent, CallEvent, { event: string }, never, never>>;
  };
}

type Assignments = Readonly<Record<string, string | number | boolean>>;

/** For an oracle, the visualiser, and users' own tests. Throws POLICY_INVALID if an expression does not compile. */
export const toXState = (policy: Policy): XStateParts => {
  const scope = scopeOf(policy);
  const compiled = new Map<string, Expression>();
  const expression = (source: string | number | boolean, type: ScalarType): Expression => {
    const key = `${type} ${typeof source} ${source}`;
    let found = compiled.get(key);
    if (found === undefined) {
      found = compileExpression(source, scope, type, policy.id);
      compiled.set(key, found);
    }
    return found;
  };
  const environment = ({ context, event }: Given): Environment<Value> => {
    const { args = {}, at = 0, notBefore = at, thread = 0, callers = [] } = event;
    return {
      args: policy.parameterNames.map((name) => (Object.hasOwn(args, name) ? args[name] : undefined)),
      context: policy.variables.map(({ name }) => context[name]!),
      event: { function: event.type, at, notBefore, thread, callers },
      slice: null,
    };
  };

  const guards: Record<string, (given: Given) => boolean> = {};
  for (const source of guardsOf(policy.machine)) {
    const guard = expression(source, 'bool');
    guards[source] = (given) => guard.evaluate(environment(given)) === true;
  }
  const change = (given: Given, params: Assignments): Partial<MachineContext> => {
    const changed: MachineContext = {};
    const env = environment(given);
    for (const { name, type } of policy.variables) {
      if (!Object.hasOwn(params, name)) continue;
      const value = expression(params[name]!, type).evaluate(env);
      if (value !== undefined) changed[name] = value;
    }
    return changed;
  };
  const first = Object.fromEntries(policy.variables.map(({ name, initial }) => [name, initial]));
  return {
    config: { ...policy.machine, context: first },
    guards,
    actions: {
      assign: assign(change),
      // A raised event carries no parameters; when and where it happened stays that of the event behind it.
      raise: raise(({ event }, { event: type }) => {
        const { args: _, ...rest } = event;
        return { ...rest, type };
      }),
    },
  };
};

/** The text of every guard of a machine. */
const guardsOf = (machine: MachineConfig): ReadonlySet<string> => {
  const texts = new Set<string>();
  for (const { node } of stateTree(machine).states) {
    const all = [node.always, node.onDone, ...Object.values(node.on ?? {}), ...Object.values(node.after ?? {})];
    for (const { guard } of all.flatMap(listOf)) if (typeof guard === 'string') texts.add(guard);
  }
  return texts;
};
