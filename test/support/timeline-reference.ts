import type { Configuration, Machine, Outcome } from '../../processors/runtime/machine/machine.js';
import { runStep } from '../../processors/runtime/machine/run.js';
import type { Policy } from '../../schemas/policy/policy.js';
import type { Value } from '../../schemas/policy/value.js';

export interface RealCall {
  readonly at: number;
  readonly name: string;
  readonly n: number;
  readonly thread: number;
  readonly callers: readonly string[];
}

interface Present {
  readonly configuration: Configuration;
  readonly context: readonly Value[];
  /** Running timers, by registration. */
  readonly timers: readonly { readonly timer: number; readonly due: number; readonly registered: number }[];
  readonly registered: number;
}

/** A bad step of the process. */
export type Bad = { readonly at: number } & ({ readonly call: RealCall } | { readonly timer: number });

/** What really happens: one concrete state with its own list of timers. A bad step is told and leaves everything as it was. */
export class Reference {
  readonly #machine: Machine;
  readonly #policy: Policy;
  present: Present;
  now: number;

  constructor(machine: Machine, policy: Policy, at: number) {
    this.#machine = machine;
    this.#policy = policy;
    this.now = at;
    this.present = {
      configuration: -1,
      context: policy.variables.map(({ initial }) => initial),
      timers: [],
      registered: 0,
    };
    this.#take(machine.initial(), at, null);
  }

  copy(): Reference {
    const copy = new Reference(this.#machine, this.#policy, this.now);
    copy.present = this.present;
    return copy;
  }

  get due(): number {
    return this.#next()?.due ?? Number.POSITIVE_INFINITY;
  }

  get configuration(): Configuration {
    return this.present.configuration;
  }

  /** Lets every timer fire that is due by `at`. */
  wait(at: number): Bad[] {
    const bad: Bad[] = [];
    for (let next = this.#next(); next !== undefined && next.due <= at; next = this.#next()) {
      const { timer, due } = next;
      const before = this.present;
      this.present = { ...before, timers: before.timers.filter((one) => one !== next) };
      const spent = this.present;
      const outcome = this.#take(this.#machine.fire(before.configuration, timer), due, null);
      if (!outcome.violation) continue;
      this.present = spent;
      bad.push({ at: due, timer });
    }
    this.now = at;
    return bad;
  }

  call(call: RealCall): Bad[] {
    const bad = this.wait(call.at);
    const before = this.present;
    const step = this.#machine.step(before.configuration, this.#machine.event(call.name));
    const outcome = this.#take(step, call.at, call);
    if (outcome.violation || (!outcome.taken && this.#policy.unexpected !== 'ignore')) {
      this.present = before;
      bad.push({ at: call.at, call });
    }
    return bad;
  }

  #next(): Present['timers'][number] | undefined {
    let first: Present['timers'][number] | undefined;
    for (const timer of this.present.timers)
      if (
        first === undefined ||
        timer.due < first.due ||
        (timer.due === first.due && timer.registered < first.registered)
      )
        first = timer;
    return first;
  }

  #take(step: ReturnType<Machine['initial']>, at: number, call: RealCall | null): Outcome {
    const context = [...this.present.context];
    const event = {
      function: call?.name ?? '',
      at,
      notBefore: at,
      thread: call?.thread ?? 0,
      callers: call?.callers ?? [],
    };
    const args = this.#policy.parameterNames.map(() => (call === null ? undefined : call.n));
    const outcome = runStep(step, { args, context, event, slice: null }, { count: 0 });
    let { registered } = this.present;
    const timers = this.present.timers.filter(({ timer }) => !outcome.exited.includes(timer));
    for (const timer of outcome.entered)
      timers.push({ timer, due: at + this.#machine.timers[timer]!.delay, registered: registered++ });
    this.present = { configuration: outcome.configuration, context, timers, registered };
    return outcome;
  }
}
