import type { Configuration, Machine, Outcome, Step } from '../../processors/runtime/machine/machine.js';
import { runStep } from '../../processors/runtime/machine/run.js';
import type { Policy } from '../../schemas/policy/policy.js';
import type { CallEvent } from '../../schemas/policy/to-xstate.js';
import type { Value } from '../../schemas/policy/value.js';
import type { PendingTimer } from './xstate-oracle.js';

/** The least that runs a compiled machine in time: a context and a list of timers by deadline and registration. */
export interface Driver {
  readonly configuration: Configuration;
  readonly states: string;
  readonly context: readonly Value[];
  readonly timers: readonly PendingTimer[];
  /** Timers of the list, as the machine numbers them. */
  readonly running: readonly number[];
  readonly last: Outcome;
  send(call: CallEvent): Outcome;
  wait(micros: number): void;
}

export const machineDriver = (machine: Machine, policy: Policy): Driver => {
  let now = 0;
  let registered = 0;
  let timers: { timer: number; deadline: number; registered: number }[] = [];
  const context = policy.variables.map(({ initial }) => initial);
  const sorted = () => timers.sort((a, b) => a.deadline - b.deadline || a.registered - b.registered);

  const walk = (step: Step, call: CallEvent): Outcome => {
    const args = policy.parameterNames.map((name) => call.args?.[name]);
    const event = { function: call.type, at: now, notBefore: now, thread: 1, callers: [] };
    const outcome = runStep(step, { args, context, event, slice: null }, { count: 0 });
    timers = timers.filter(({ timer }) => !outcome.exited.includes(timer));
    for (const timer of outcome.entered) {
      timers.push({ timer, deadline: now + machine.timers[timer]!.delay, registered: registered++ });
    }
    return outcome;
  };

  let last: Outcome;
  const driver: Driver = {
    get configuration() {
      return last.configuration;
    },
    get states() {
      return machine.describe(last.configuration).replace(/[!/].*/, '');
    },
    context,
    get timers() {
      return sorted().map(({ timer, deadline }) => ({ ...machine.timers[timer]!, deadline }));
    },
    get running() {
      return timers.map(({ timer }) => timer);
    },
    get last() {
      return last;
    },
    send(call) {
      last = walk(machine.step(last.configuration, machine.event(call.type)), call);
      return last;
    },
    wait(micros) {
      const until = now + micros;
      for (let next = sorted()[0]; next !== undefined && next.deadline <= until; next = sorted()[0]) {
        now = next.deadline;
        last = walk(machine.fire(last.configuration, next.timer), { type: 'timer' });
      }
      now = until;
    },
  };
  last = walk(machine.initial(), { type: 'start' });
  return driver;
};
