import type { ImaEntry } from '../../../schemas/ima/entry.js';
import type { HostPolicy } from '../../../schemas/policy/host/host-policy.js';
import type { Micros } from '../../../schemas/records.js';

export interface SignedFile {
  /** Name of the signer that the policy trusts for this path; null: none. */
  readonly by: string | null;
  /** There is a signature, and it does not hold together. */
  readonly malformed: boolean;
}

const NONE: SignedFile = { by: null, malformed: false };

export const signedFile = (_entry: ImaEntry, _policy: HostPolicy, _path: string, _now: Micros): SignedFile => NONE;
