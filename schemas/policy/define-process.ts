import type { PROCESS_EVENTS } from './names.js';
import type { Actions, StateNode } from './policy.js';

type ProcessEvent = (typeof PROCESS_EVENTS)[number];
type Release = 'clear' | 'hash' | 'none';
type DeclaredType = 'int' | 'uint' | 'double' | 'bool' | 'string' | 'enum' | 'dyn';

type ParameterDefinition = Release | { readonly type?: DeclaredType; readonly release?: Release };

export interface FunctionDefinition {
  readonly parameters?: Readonly<Record<string, ParameterDefinition>>;
}

export interface TransitionDefinition {
  readonly target?: string;
  /** CEL */
  readonly guard?: string;
  readonly actions?: Actions;
  readonly reenter?: boolean;
  readonly description?: string;
}

type TransitionsDefinition = string | TransitionDefinition | readonly (string | TransitionDefinition)[];

/** A state; `on` knows the watched functions, the events of processes, `*` and names that actions raise. */
export interface StateDefinition<Event extends string>
  extends Omit<StateNode, 'states' | 'on' | 'after' | 'always' | 'onDone'> {
  readonly states?: Readonly<Record<string, StateDefinition<Event>>>;
  readonly on?: { readonly [name in Event | ProcessEvent | '*']?: TransitionsDefinition };
  /** By milliseconds. */
  readonly after?: Readonly<Record<number, TransitionsDefinition>>;
  readonly always?: TransitionsDefinition;
  readonly onDone?: TransitionsDefinition;
}

export interface ProcessDefinition<Functions extends string, Raised extends string> {
  readonly id: string;
  readonly description?: string;
  /** Glob over the path of the binary, or `any`. */
  readonly binary?: string;
  readonly image?: string | null;
  readonly functions: Readonly<Record<Functions, FunctionDefinition | null>>;
  readonly machine: StateDefinition<NoInfer<Functions | Raised>> & {
    readonly context?: Readonly<Record<string, number | string | boolean | null>>;
  };
  readonly unexpected?: 'violation' | 'ignore';
  readonly afterViolation?: 'latch' | 'stay' | 'reset';
  readonly openAtExit?: 'ignore' | 'violation';
  readonly onFork?: 'copy' | 'fresh' | 'ignore';
  readonly slice?:
    | { readonly thread: true }
    | Readonly<Record<string, { readonly [name in NoInfer<Functions>]?: string }>>;
  readonly maxSlices?: number;
  readonly lateness?: {
    readonly within?: string;
    readonly events?: number;
    readonly beyond?: 'list' | 'revise' | 'count';
  };
  /** From 0 to 1. */
  readonly doubtAbove?: number;
  readonly stop?: 'never' | 'allowed';
  /** Globals and statics whose values ride along with each look. */
  readonly globals?: Readonly<Record<string, ParameterDefinition>>;
  /** Arguments of system calls, by position. */
  readonly syscalls?: Readonly<Record<string, { readonly [position in `a${0 | 1 | 2 | 3 | 4 | 5}`]?: Release }>>;
  readonly threadNames?: Release;
  readonly assume?: {
    readonly minDuration?: { readonly [name in NoInfer<Functions>]?: string };
    readonly minCpu?: { readonly [name in NoInfer<Functions>]?: string };
    readonly callsOnlyFrom?: { readonly [name in NoInfer<Functions>]?: string | readonly string[] };
    readonly stable?: readonly string[];
  };
}

/**
 * The document of a policy, with types while you write: names of functions are known in `on`, `slice` and `assume`.
 * Gives the same data back; `policyFromDocument` checks it, `JSON.stringify` makes the file. Names that actions raise are
 * stated as the second type argument, or as the second argument's words: `defineProcess({...}, ['alarm'])`.
 */
export const defineProcess = <const Functions extends string, const Raised extends string = never>(
  definition: ProcessDefinition<Functions, Raised>,
  _raised: readonly Raised[] = [],
): ProcessDefinition<Functions, Raised> => definition;
