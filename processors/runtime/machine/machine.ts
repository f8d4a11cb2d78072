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
  /**
   * False: no transition was enabled (one with neither target nor actions only forbids), nothing changed.
   * A timer that is due with no enabled transition is still spent: it is in `exited`, and the configuration says so.
   */
  readonly taken: boolean;
  /**
   * The step ends in, or passed through, a state tagged `violation`; or its guard answers together would make XState go
   * round for ever, which no legal run does.
   */
  readonly violation: boolean;
  /** Timers that ran before and were stopped by the step, in XState's order; first of all the one that fired. */
  readonly exited: readonly number[];
  /** Timers (re)started by the step and still running, in XState's order of registration. A restarted one is in both lists. */
  readonly entered: readonly number[];
  /** The machine reached its top-level final state: no event changes it any more. */
  readonly done: boolean;
}

export interface Timer {
  /** Path of the owning state, e.g. `idle` or `a.b`. */
  readonly state: string;
  readonly delay: Micros;
}

/**
 * A restricted XState machine compiled to tables. Steps are shared. Pure.
 * Expressions see the parameters of the call in the step's own microstep and in `always` that follows it; in microsteps
 * of raised and `onDone` events they see none, and `event.function` is that event's name.
 */
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
  /** −1: an event that the machine does not know (only wildcards take it). */
  step(configuration: Configuration, event: number): Step;
  /** The `after` transition of an active timer. */
  fire(configuration: Configuration, timer: number): Step;
  /** Timers that run in a configuration, in document order; their order of registration is what `entered` lists said. */
  active(configuration: Configuration): readonly number[];
  /**
   * Active leaf states as one word: `deciding`, `heater.on|valve.open`; sorted. Rarely more follows: `!STATE@DELAY` for a
   * timer that fired while its state stayed, `/1,0` for leaves whose order of entry decides between `always` transitions.
   */
  describe(configuration: Configuration): string;
  /** Inverse of `describe` over reachable configurations; −1 if there is none such. For snapshots: numbers are not stable, words are. */
  named(word: string): Configuration;
  violating(configuration: Configuration): boolean;
  /** All configurations reachable from the initial one whatever the guards say. */
  reachable(): readonly Configuration[];
}
