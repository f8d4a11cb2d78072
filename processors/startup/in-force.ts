import type { HostPolicy } from '../../schemas/policy/host/host-policy.js';
import { matches, parseSelector, type Selector } from '../../schemas/policy/selector.js';
import type { Assignment } from '../../schemas/records.js';

interface Assigned {
  readonly policy: string;
  readonly selector: Selector;
}

/** Which policy judges a host: the one given from the start, or else one that a signed assignment put into force. */
export class HostPolicies {
  readonly #fixed: readonly HostPolicy[] | null;
  readonly #assigned = new Map<string, Assigned>();
  readonly #blob: (digest: string) => HostPolicy | undefined;

  constructor(fixed: readonly HostPolicy[] | null, blob: (digest: string) => HostPolicy | undefined) {
    this.#fixed = fixed;
    this.#blob = blob;
  }

  assign({ id, policy, selector }: Assignment): void {
    if (policy === '') this.#assigned.delete(id);
    else this.#assigned.set(id, { policy, selector: parseSelector(selector) });
  }

  /** The first that applies: as given, or by the name of its assignment. null: none. */
  of(host: string): HostPolicy | null {
    if (this.#fixed !== null) return this.#fixed[0] ?? null;
    const subject = { host, image: '', binary: '', container: '' };
    for (const [, { policy, selector }] of [...this.#assigned].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const found = matches(selector, subject) ? this.#blob(policy) : undefined;
      if (found !== undefined) return found;
    }
    return null;
  }
}
