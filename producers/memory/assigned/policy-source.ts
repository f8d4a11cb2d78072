import type { Policy } from '../../../schemas/policy/policy.js';
import type { Subject } from '../../../schemas/policy/selector.js';
import type { AgentContext } from '../../agent.js';

/** Policies that hold for one process. */
export interface HeldPolicies {
  /** All of them hold. */
  readonly policies: readonly Policy[];
  /** They hold for this binary alone: for what the process becomes, others may. */
  readonly ofBinary: boolean;
  /** Another one is in force whose document has not arrived yet. */
  readonly waiting: boolean;
}

/** Says which policies hold on this host. */
export interface PolicySource {
  /** Follows what puts policies into force, until the context's `stop`; calls `ready` once it knows what was in force when it began. */
  follow(context: AgentContext, ready: () => void): Promise<void>;
  /** Changes whenever `of` may answer differently; `rebase` only where that is meant for running processes too. */
  readonly basis: string;
  readonly rebase: string;
  /** Without a binary: those that hold for any process of the container. */
  of(subject: Omit<Subject, 'binary'>, binary?: string): HeldPolicies;
}
