import type { Action, Actions, Transition, Transitions } from './policy.js';

/** Candidates in the order in which they are tried; a bare string is its target. */
export const listOf = (transitions: Transitions | undefined): readonly Transition[] => {
  if (transitions === undefined) return [];
  const list = Array.isArray(transitions) ? transitions : [transitions];
  return list.map((one: string | Transition) => (typeof one === 'string' ? { target: one } : one));
};

export const actionsOf = (actions: Actions | undefined): readonly Action[] => {
  if (actions === undefined) return [];
  return Array.isArray(actions) ? actions : [actions as Action];
};
