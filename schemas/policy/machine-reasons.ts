/** Keys of a state, and of the machine beside them. */
export const STATE_KEYS = [
  'type',
  'initial',
  'states',
  'on',
  'after',
  'always',
  'onDone',
  'entry',
  'exit',
  'tags',
  'id',
  'description',
  'meta',
] as const;
export const MACHINE_KEYS = [...STATE_KEYS, 'context'] as const;
export const TRANSITION_KEYS = ['target', 'guard', 'actions', 'reenter', 'description'] as const;

const NO_ACTORS = 'a policy is data and starts no actors; wait for an event of a watched function instead';

/** XState's own words that are refused, with the reason and the way out. */
export const REFUSED_KEYS: Readonly<Record<string, string>> = {
  invoke: NO_ACTORS,
  src: NO_ACTORS,
  actors: NO_ACTORS,
  activities: NO_ACTORS,
  history: 'a remembered state would depend on calls that nobody saw; name the target state',
  output: 'a process has no output; what matters are its states',
  input: 'a process gives no input; start from constants in "context"',
  data: 'a process has no output; what matters are its states',
  delimiter: 'states are named by "." only',
  delimiters: 'states are named by "." only',
  delays: 'a deadline is a whole number of milliseconds, the key of "after"',
  guards: 'write the CEL expression where the name of a guard would stand',
  actions: 'actions stand in a transition, in "entry" or in "exit"',
  schemas: 'types come from "functions" and "context"',
  types: 'types come from "functions" and "context"',
  context: 'variables belong to the machine, not to a state; move them to the top',
  cond: 'XState 5 writes "guard"',
  in: 'there is no "in"; ask a context variable in the guard',
  internal: 'XState 5 writes "reenter: true" for what re-enters; all else stays inside',
  external: 'XState 5 writes "reenter: true"',
  onEntry: 'XState 5 writes "entry"',
  onExit: 'XState 5 writes "exit"',
  delay: 'a delayed raise is a timer nobody sees in the picture; use "after"',
  route: 'jumping into a state from outside is refused; write the transition',
};

export const REFUSED_ACTIONS: Readonly<Record<string, string>> = {
  spawn: NO_ACTORS,
  spawnChild: NO_ACTORS,
  stop: NO_ACTORS,
  stopChild: NO_ACTORS,
  sendTo: NO_ACTORS,
  sendParent: NO_ACTORS,
  send: 'XState 5 writes "raise"',
  forwardTo: NO_ACTORS,
  emit: 'what leaves a machine are its verdicts; tag a state "violation"',
  log: 'what leaves a machine are its verdicts; describe the state in "description"',
  cancel: 'a timer ends when its state is left',
  enqueueActions: 'write the actions as a list',
  pure: 'write the actions as a list',
  choose: 'write one transition with a guard for each case',
};

export const REFUSED_GUARDS: Readonly<Record<string, string>> = {
  stateIn: 'XState has it only as code; keep what you need to know in a context variable',
  and: 'join the conditions by && in one expression',
  or: 'join the conditions by || in one expression',
  not: 'write !(…) in the expression',
};
