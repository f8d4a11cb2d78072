import type { Micros } from '../records.js';
import type { ScalarType, Value } from './value.js';

/** What a policy says of one parameter. */
export interface ParameterRule {
  /** `dyn`: taken from debug information or from the import map. */
  readonly type: ScalarType;
  /** clear: may leave the host; hash: only as a keyed hash; none: never. */
  readonly release: 'clear' | 'hash' | 'none';
}

export interface FunctionRule {
  readonly parameters: ReadonlyMap<string, ParameterRule>;
}

/** Key of a slice: per function the parameter that holds it, or the thread. */
export type SliceRule =
  | { readonly name: string; readonly by: 'parameter'; readonly keys: ReadonlyMap<string, string> }
  | { readonly name: 'thread'; readonly by: 'thread' };

/** Declared, never learned: what sharpens a verdict and is named by it. */
export interface Assumptions {
  readonly minDuration: ReadonlyMap<string, Micros>;
  readonly minCpu: ReadonlyMap<string, Micros>;
  readonly callsOnlyFrom: ReadonlyMap<string, readonly string[]>;
  /** `function.parameter`: a current value is the argument. */
  readonly stable: ReadonlySet<string>;
}

/** A node of the restricted XState machine configuration, as it stands in the document (validated). */
export interface StateNode {
  readonly type?: 'atomic' | 'compound' | 'parallel' | 'final';
  readonly initial?: string;
  readonly states?: Readonly<Record<string, StateNode>>;
  readonly on?: Readonly<Record<string, Transitions>>;
  readonly after?: Readonly<Record<string, Transitions>>;
  readonly always?: Transitions;
  readonly onDone?: Transitions;
  readonly entry?: Actions;
  readonly exit?: Actions;
  readonly tags?: string | readonly string[];
  readonly id?: string;
  readonly description?: string;
  readonly meta?: unknown;
}

export interface MachineConfig extends StateNode {
  readonly context?: Readonly<Record<string, unknown>>;
}

export type Transitions = string | Transition | readonly (string | Transition)[];

export interface Transition {
  readonly target?: string | readonly string[];
  /** A CEL expression; stands where XState has the name of a guard. */
  readonly guard?: Guard;
  readonly actions?: Actions;
  readonly reenter?: boolean;
  readonly description?: string;
}

/** CEL text. XState's own object forms (`stateIn`, `and`, …) are part of its type, but refused when a policy is read. */
export type Guard = string | { readonly type: string; readonly params?: unknown };

export type Actions = Action | readonly Action[];

/** `assign` with CEL expressions per variable, or `raise` of an event name. */
export type Action =
  | { readonly type: 'assign'; readonly params: Readonly<Record<string, string | number | boolean>> }
  | { readonly type: 'raise'; readonly params: { readonly event: string } };

/** A parsed, validated policy with defaults filled in. */
export interface Policy {
  /** sha256:HEX over RFC 8785 of the document as parsed, no defaults filled in. */
  readonly digest: string;
  readonly document: Readonly<Record<string, unknown>>;
  readonly id: string;
  /** Glob over the path of the binary; `any`: every process. */
  readonly binary: string;
  readonly image: string | null;
  readonly functions: ReadonlyMap<string, FunctionRule>;
  /** All parameter names of all functions, sorted: a call's arguments stand in an array in this order. */
  readonly parameterNames: readonly string[];
  readonly machine: MachineConfig;
  /** Context variables in the document's order, with their initial values and types. */
  readonly variables: readonly { readonly name: string; readonly type: ScalarType; readonly initial: Value }[];
  readonly unexpected: 'violation' | 'ignore';
  /** null: not stated; then latch for live processes and stay for imported traces. */
  readonly afterViolation: 'latch' | 'stay' | 'reset' | null;
  readonly openAtExit: 'ignore' | 'violation';
  readonly onFork: 'copy' | 'fresh' | 'ignore';
  readonly slice: SliceRule | null;
  /** Live slice instances per process before the least recently used is evicted. */
  readonly maxSlices: number;
  readonly lateness: { readonly within: Micros; readonly events: number; readonly beyond: 'list' | 'revise' | 'count' };
  /** Parts per million. */
  readonly doubtAbove: number;
  readonly stop: 'never' | 'allowed';
  /** Globals and statics whose values ride along with each look, by symbol. */
  readonly globals: ReadonlyMap<string, ParameterRule>;
  /** What of a system call's arguments may leave the host: `a0` to `a5` by the call's name. */
  readonly syscalls: ReadonlyMap<string, ReadonlyMap<string, ParameterRule['release']>>;
  /** Programs name threads as they like, after a user for instance. */
  readonly threadNames: ParameterRule['release'];
  readonly assume: Assumptions;
}
