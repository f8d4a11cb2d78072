import { type ErrorCode, isAttestreamError } from '../errors.js';
import type { Assignment } from '../records.js';
import { matches, parseSelector, type Selector, type Subject } from './selector.js';

/** Why an assignment, signed by a pinned key, is not acted on; `copy`: an equal one was taken already, which is no fault. */
export type AssignmentRefusal =
  | { readonly refused: 'copy' }
  | { readonly refused: 'fault'; readonly code: ErrorCode; readonly message: string };

/** Null where the assignment comes into force after `last`, the newest that was taken of its name. */
export const refuseAssignment = (assignment: Assignment, last: Assignment | undefined): AssignmentRefusal | null => {
  const { id, version, selector, signature } = assignment;
  const fault = (code: ErrorCode, message: string): AssignmentRefusal => ({ refused: 'fault', code, message });
  if (last !== undefined && version <= last.version)
    return signature.equals(last.signature)
      ? { refused: 'copy' }
      : fault('RECORD_UNSIGNED', `assignment ${id} has version ${version}, ${last.version} is in force`);
  try {
    parseSelector(selector);
    return null;
  } catch (error) {
    if (isAttestreamError(error)) return fault(error.code, `assignment ${id}: ${error.message}`);
    throw error;
  }
};

interface Standing {
  readonly id: string;
  readonly policy: string;
  readonly version: number;
  readonly rebase: boolean;
  readonly selector: Selector;
}

const words = (standing: readonly Standing[]): string =>
  standing.map(({ id, version }) => `${id}@${version}`).join(' ');

/** The assignments in force, and whom they are for. What is given to `assign` has been found to come into force. */
export class Assignments {
  /** By name. */
  #standing: readonly Standing[] = [];
  #basis = '';
  #rebase = '';

  assign({ id, policy, selector, version, rebase }: Assignment): void {
    const others = this.#standing.filter((one) => one.id !== id);
    if (policy !== '') others.push({ id, policy, version, rebase, selector: parseSelector(selector) });
    this.#standing = others.sort((a, b) => (a.id < b.id ? -1 : 1));
    this.#basis = words(this.#standing);
    this.#rebase = words(this.#standing.filter((one) => one.rebase));
  }

  /** Names the assignments in force; and those of them that reach running processes. Equal after a restart. */
  get basis(): string {
    return this.#basis;
  }

  get rebase(): string {
    return this.#rebase;
  }

  /** Digests of all policies in force. */
  get policies(): readonly string[] {
    return this.#standing.map(({ policy }) => policy);
  }

  /** Digests of the policies for a subject, by the name of their assignment: all of them hold. A part that is not given excludes none. */
  for(subject: Partial<Subject>): readonly string[] {
    return this.#standing.filter(({ selector }) => matches(selector, subject)).map(({ policy }) => policy);
  }

  /** Whether it takes the path of a binary to say which of the policies for a subject hold. */
  asksForBinary(subject: Partial<Subject>): boolean {
    return this.#standing.some(({ selector }) => selector.has('binary') && matches(selector, subject));
  }
}
