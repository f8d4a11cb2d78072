import { Assignments } from '../../schemas/policy/assignments.js';
import type { Policy } from '../../schemas/policy/policy.js';
import { policyMayCover, type Subject } from '../../schemas/policy/selector.js';
import type { Assignment } from '../../schemas/records.js';
import { type PolicyInForce, policyInForce } from './policies.js';

/** Which policies judge a new process: those given from the start, or else those that signed assignments put into force. */
export class InForce {
  readonly #fixed: readonly PolicyInForce[] | null;
  readonly #assigned = new Assignments();
  readonly #compiled = new Map<string, PolicyInForce>();
  readonly #blob: (digest: string) => Policy | undefined;

  constructor(fixed: readonly Policy[] | null, blob: (digest: string) => Policy | undefined) {
    this.#blob = blob;
    this.#fixed = fixed?.map((policy) => this.#take(policy)) ?? null;
  }

  assign(assignment: Assignment): void {
    this.#assigned.assign(assignment);
  }

  /** Names the assignments in force; and those of them that reach running processes. Equal after a restart. */
  get basis(): string {
    return this.#assigned.basis;
  }

  get rebase(): string {
    return this.#assigned.rebase;
  }

  /** In the order in which they were given; assigned ones by the name of their assignment. */
  of(subject: Subject): readonly PolicyInForce[] {
    // An imported process has no known binary or image.
    return this.#candidates(subject).filter(({ policy }) => policyMayCover(policy, subject));
  }

  byDigest(digest: string): PolicyInForce | undefined {
    const known = this.#compiled.get(digest);
    if (known !== undefined) return known;
    const policy = this.#blob(digest);
    return policy === undefined ? undefined : this.#take(policy);
  }

  #candidates(subject: Subject): readonly PolicyInForce[] {
    if (this.#fixed !== null) return this.#fixed;
    return this.#assigned
      .for(subject)
      .map((digest) => this.byDigest(digest))
      .filter((policy) => policy !== undefined);
  }

  #take(policy: Policy): PolicyInForce {
    const compiled = policyInForce(policy);
    this.#compiled.set(policy.digest, compiled);
    return compiled;
  }
}
