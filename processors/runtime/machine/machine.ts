import type { Expression } from '../../../schemas/policy/expression.js';
import type { Micros } from '../../../schemas/records.js';

/** Dense number of a set of active states, given at its first appearance within one compiled machine. */
export type Configuration = number;

/**
 * One XState macrostep as a decision tree: guards in XState's own selection order, assigns where XState runs them.
 * Concrete runs follow one path, beliefs follow every path that the guards leave possible.
 */
export type Step = Choice | Assignments | Outcome;

export interface Choice {
  readonly is: 'choice';
  readonly guard: Expression;
  readonly yes: Step;
  readonly no: Step;
}

export interface Assignments {
  readonly is: 'assign';
  /** Variable indices and expressions; all are evaluated over the context before the action. */
  readonly assigns: readonly { readonly variable: number; readonly value: Expression }[];
  readonly next: Step;
}

export interface Outcome {
  readonly is: 'outcome';
  readonly configuration: Configuration;
  /** False: no transition was enabled, nothing changed. */
  readonly taken: boolean;
  /** The step ends in, or passed through, a state tagged `violation`. */
  readonly violation: boolean;
  /** Timers stopped by the step, in XState's order. */
  readonly exited: readonly number[];
  /** Timers (re)started by the step, in XState's order of registration. */
  readonly entered: readonly number[];
  /** The machine reached its top-level final state: no event changes it any more. */
  readonly done: boolean;
}

export interface Timer {
  /** Path of the owning state, e.g. `idle` or `a.b`. */
  readonly state: string;
  readonly delay: Micros;
}

/** A restricted XState machine compiled to tables. Steps are built at first use and shared. Pure. */
export interface Machine {
  /** sha256:HEX of the compiled machine's meaning: a snapshot from another machine is refused. */
  readonly digest: string;
  /** Event names: the policy's functions, then $start, $exec, $fork, $exit and raised names. */
  readonly events: readonly string[];
  readonly timers: readonly Timer[];
  /** Index in `events`, −1 if the machine does not know it. */
  event(name: string): number;
  /** The macrostep from nowhere into the initial configuration (`taken` is true). */
  initial(): Step;
  step(configuration: Configuration, event: number): Step;
  /** The `after` transition of an active timer. */
  fire(configuration: Configuration, timer: number): Step;
  /** Timers that run in a configuration, in registration order of state entry. */
  active(configuration: Configuration): readonly number[];
  /** Active leaf states as one word: `deciding`, `heater.on|valve.open`; sorted. */
  describe(configuration: Configuration): string;
  /** Inverse of `describe` over reachable configurations; −1 if there is none such. For snapshots: numbers are not stable, words are. */
  named(word: string): Configuration;
  violating(configuration: Configuration): boolean;
  /** All configurations reachable from the initial one whatever the guards say. */
  reachable(): readonly Configuration[];
}
