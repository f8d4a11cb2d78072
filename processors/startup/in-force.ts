import { Assignments } from '../../schemas/policy/assignments.js';
import type { HostPolicy } from '../../schemas/policy/host/host-policy.js';
import type { Assignment } from '../../schemas/records.js';

/** Which policy judges a host: the one given from the start, or else one that a signed assignment put into force. */
export class HostPolicies {
  readonly #fixed: readonly HostPolicy[] | null;
  readonly #assigned = new Assignments();
  readonly #blob: (digest: string) => HostPolicy | undefined;

  constructor(fixed: readonly HostPolicy[] | null, blob: (digest: string) => HostPolicy | undefined) {
    this.#fixed = fixed;
    this.#blob = blob;
  }

  assign(assignment: Assignment): void {
    this.#assigned.assign(assignment);
  }

  /** The first that applies: as given, or by the name of its assignment. null: none. */
  of(host: string): HostPolicy | null {
    if (this.#fixed !== null) return this.#fixed[0] ?? null;
    for (const digest of this.#assigned.for({ host, image: '', binary: '', container: '' })) {
      const found = this.#blob(digest);
      if (found !== undefined) return found;
    }
    return null;
  }
}
