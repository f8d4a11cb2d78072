import {
  type AnyMachineSnapshot,
  createMachine,
  type ExecutableActionObject,
  getInitialMicrosteps,
  getMicrosteps,
  initialTransition,
  transition,
} from 'xstate';
import type { Policy } from '../../schemas/policy/policy.js';
import { type CallEvent, toXState } from '../../schemas/policy/to-xstate.js';
import type { Value } from '../../schemas/policy/value.js';

export interface PendingTimer {
  readonly state: string;
  /** Microseconds. */
  readonly delay: number;
  readonly deadline: number;
}

/** What XState itself makes of a policy's machine, with a clock of ours: its own ones mistreat chained delays. */
export interface Oracle {
  readonly states: string;
  readonly context: readonly Value[];
  readonly timers: readonly PendingTimer[];
  readonly done: boolean;
  /** XState gave up: transitions follow each other without end. */
  readonly hung: boolean;
  /** A state tagged `violation` was active after any microstep of the last macrostep. */
  readonly violated: boolean;
  /** Runs what is due before, then the event. False if no transition is enabled for it. */
  send(call: CallEvent): boolean;
  wait(micros: number): void;
}

const MAX_ITERATIONS = 300;

export const xstateOracle = (policy: Policy): Oracle => {
  const { variables } = policy;
  const { config, guards, actions } = toXState(policy);
  const options = { maxIterations: MAX_ITERATIONS };
  const machine = createMachine({ ...config, options } as never, { guards, actions } as never);

  let now = 0;
  let registered = 0;
  let violated = false;
  let hung = false;
  const timers = new Map<string, PendingTimer & { registered: number }>();
  const paths = new Map<string, string>();
  for (const [id, node] of (machine as unknown as { idMap: Map<string, { path: string[] }> }).idMap)
    paths.set(id, node.path.join('.'));

  const keep = (actions: readonly ExecutableActionObject[]): void => {
    for (const { type, params } of actions) {
      const { id, delay, sendId } = (params ?? {}) as { id?: string; delay?: number; sendId?: string };
      if (type === 'xstate.cancel') timers.delete(sendId!);
      if (type === 'xstate.raise' && delay !== undefined) {
        const state = paths.get(id!.slice(`xstate.after.${delay}.`.length))!;
        timers.set(id!, { state, delay: delay * 1000, deadline: now + delay * 1000, registered: registered++ });
      }
    }
  };
  const tagged = (steps: readonly (readonly [AnyMachineSnapshot, unknown])[]): boolean =>
    steps.some(([snapshot]) => snapshot.tags.has('violation'));

  let snapshot: AnyMachineSnapshot;
  const start = initialTransition(machine);
  snapshot = start[0] as AnyMachineSnapshot;
  if (snapshot.status === 'error') {
    hung = true;
  } else {
    keep(start[1]);
    violated = tagged(getInitialMicrosteps(machine) as never);
  }

  const take = (event: CallEvent): boolean => {
    if (hung || snapshot.status !== 'active') return false;
    const enabled = snapshot.can(event as never);
    try {
      violated = tagged(getMicrosteps(machine, snapshot as never, event as never) as never);
      const [after, actions] = transition(machine, snapshot as never, event as never);
      snapshot = after as AnyMachineSnapshot;
      keep(actions);
    } catch (error) {
      if (!String(error).includes('Infinite loop')) throw error;
      hung = true;
    }
    return enabled;
  };

  const due = (until: number) =>
    [...timers]
      .filter(([, timer]) => timer.deadline <= until)
      .sort(([, a], [, b]) => a.deadline - b.deadline || a.registered - b.registered)[0];

  return {
    get states() {
      const leaves = snapshot._nodes.filter(({ type }: { type: string }) => type === 'atomic' || type === 'final');
      return leaves
        .map(({ path }: { path: string[] }) => path.join('.'))
        .sort()
        .join('|');
    },
    get context() {
      return variables.map(({ name }) => snapshot.context[name]);
    },
    get timers() {
      return [...timers.values()]
        .sort((a, b) => a.deadline - b.deadline || a.registered - b.registered)
        .map(({ state, delay, deadline }) => ({ state, delay, deadline }));
    },
    get done() {
      return snapshot.status === 'done';
    },
    get hung() {
      return hung;
    },
    get violated() {
      return violated;
    },
    send: take,
    wait(micros) {
      const until = now + micros;
      for (let next = due(until); next !== undefined && !hung && snapshot.status === 'active'; next = due(until)) {
        const [id, timer] = next;
        timers.delete(id);
        now = timer.deadline;
        take({ type: id });
      }
      now = until;
    },
  };
};
