import type { Policy } from '../../schemas/policy/policy.js';
import { matches, parseSelector, policyCovers, type Selector, type Subject } from '../../schemas/policy/selector.js';
import type { Assignment } from '../../schemas/records.js';
import { type PolicyInForce, policyInForce } from './policies.js';

interface Assigned {
  readonly id: string;
  readonly policy: string;
  readonly version: number;
  readonly rebase: boolean;
  readonly selector: Selector;
}

/** Which policies judge a new process: those given from the start, or else those that signed assignments put into force. */
export class InForce {
  readonly #fixed: readonly PolicyInForce[] | null;
  readonly #assigned = new Map<string, Assigned>();
  #basis = '';
  #rebase = '';
  readonly #compiled = new Map<string, PolicyInForce>();
  readonly #blob: (digest: string) => Policy | undefined;

  constructor(fixed: readonly Policy[] | null, blob: (digest: string) => Policy | undefined) {
    this.#blob = blob;
    this.#fixed = fixed?.map((policy) => this.#take(policy)) ?? null;
  }

  assign({ id, policy, selector, version, rebase }: Assignment): void {
    if (policy === '') this.#assigned.delete(id);
    else this.#assigned.set(id, { id, policy, version, rebase, selector: parseSelector(selector) });
    const named = [...this.#assigned.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
    const words = (list: readonly Assigned[]): string => list.map((one) => `${one.id}@${one.version}`).join(' ');
    this.#basis = words(named);
    this.#rebase = words(named.filter((one) => one.rebase));
  }

  /** Names the assignments in force; and those of them that reach running processes. Equal after a restart. */
  get basis(): string {
    return this.#basis;
  }

  get rebase(): string {
    return this.#rebase;
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
