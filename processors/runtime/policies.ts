import type { Policy } from '../../schemas/policy/policy.js';
import { type Known, UNKNOWN, type Value } from '../../schemas/policy/value.js';
import type { UnseenCall } from './belief/advance.js';
import { type CallPlan, callPlan } from './call.js';
import { compileMachine } from './machine/compile.js';
import type { Machine } from './machine/machine.js';
import type { TrackRules } from './track.js';

/** A policy with its machine and everything that is worth making once. */
export interface PolicyInForce {
  readonly policy: Policy;
  readonly machine: Machine;
  /** Null for a function that the policy does not name: no event. */
  plan(name: string): CallPlan | null;
  /** Watched functions as calls that nobody saw. */
  readonly unseen: readonly UnseenCall[];
  rules(slice: Value, complete: boolean): TrackRules;
}

export const policyInForce = (policy: Policy): PolicyInForce => {
  const machine = compileMachine(policy);
  const plans = new Map<string, CallPlan | null>();
  const base = {
    machine,
    tolerant: policy.unexpected === 'ignore',
    variables: policy.variables.length,
    parameters: policy.parameterNames,
    initial: policy.variables.map(({ initial }) => initial),
    doubtAbove: policy.doubtAbove,
  };
  const plan = (name: string): CallPlan | null => {
    let known = plans.get(name);
    if (known === undefined) {
      known = policy.functions.has(name) ? callPlan(policy, name, machine.event(name)) : null;
      // Names come from the watched program: only those of the policy are worth keeping.
      if (known !== null) plans.set(name, known);
    }
    return known;
  };
  return {
    policy,
    machine,
    plan,
    unseen: [...policy.functions].map(([name, rule]) => ({
      event: machine.event(name),
      function: name,
      args: policy.parameterNames.map((parameter): Known | undefined =>
        rule.parameters.has(parameter) ? UNKNOWN : undefined,
      ),
    })),
    rules: (slice, complete) => ({
      ...base,
      slice,
      afterViolation: policy.afterViolation ?? (complete ? 'stay' : 'latch'),
    }),
  };
};
