import type { Policy } from '../../schemas/policy/policy.js';
import { matches, parseSelector, policyCovers, type Selector, type Subject } from '../../schemas/policy/selector.js';
import type { Assignment } from '../../schemas/records.js';
import { type PolicyInForce, policyInForce } from './policies.js';

/** Which policies judge a new process: those given from the start, or else those that signed assignments put into force. */
export class InForce {
  readonly #fixed: readonly PolicyInForce[] | null;
  readonly #assigned = new Map<string, { readonly id: string; readonly policy: string; readonly selector: Selector }>();
  readonly #compiled = new Map<string, PolicyInForce>();
  readonly #blob: (digest: string) => Policy | undefined;

  constructor(fixed: readonly Policy[] | null, blob: (digest: string) => Policy | undefined) {
    this.#blob = blob;
    this.#fixed = fixed?.map((policy) => this.#take(policy)) ?? null;
  }

  assign(assignment: Assignment): void {
    if (assignment.policy === '') this.#assigned.delete(assignment.id);
    else
      this.#assigned.set(assignment.id, {
        id: assignment.id,
        policy: assignment.policy,
        selector: parseSelector(assignment.selector),
      });
  }

  /** In the order in which they were given; assigned ones by the name of their assignment. */
  of(subject: Subject): readonly PolicyInForce[] {
    return this.#candidates(subject).filter(({ policy }) => appliesTo(policy, subject));
  }

  byDigest(digest: string): PolicyInForce | undefined {
    const known = this.#compiled.get(digest);
    if (known !== undefined) return known;
    const policy = this.#blob(digest);
    return policy === undefined ? undefined : this.#take(policy);
  }

  #candidates(subject: Subject): readonly PolicyInForce[] {
    if (this.#fixed !== null) return this.#fixed;
    return [...this.#assigned.values()]
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .filter(({ selector }) => matches(selector, subject))
      .map(({ policy }) => this.byDigest(policy))
      .filter((policy) => policy !== undefined);
  }

  #take(policy: Policy): PolicyInForce {
    const compiled = policyInForce(policy);
    this.#compiled.set(policy.digest, compiled);
    return compiled;
  }
}

/** An imported process has no known binary or image: what is not known excludes nothing. */
const appliesTo = (policy: Policy, { binary, image }: Subject): boolean =>
  policyCovers(
    { binary: binary === '' ? 'any' : policy.binary, image: image === '' ? null : policy.image },
    { binary, image },
  );
