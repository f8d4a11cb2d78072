import type { ImaEntry } from '../../../schemas/ima/entry.js';
import { checkSignature } from '../../../schemas/ima/signature.js';
import { parseImaSignature } from '../../../schemas/ima/signature-header.js';
import { globMatches } from '../../../schemas/policy/glob.js';
import type { HostPolicy } from '../../../schemas/policy/host/host-policy.js';
import type { Micros } from '../../../schemas/records.js';
import { isOpen } from './file-reference.js';

export interface SignedFile {
  /** Name of the signer that the policy trusts for this path; null: none. */
  readonly by: string | null;
  /** Why the signature, where there is one, does not hold together; null: it does. */
  readonly malformed: string | null;
  /** Why it is no signature by the key that it names; null: it is, or the key is not known. */
  readonly bad: string | null;
}

const NONE: SignedFile = { by: null, malformed: null, bad: null };

/** Whether a file carries the signature of a key that the policy trusts for its path. */
export const signedFile = (entry: ImaEntry, policy: HostPolicy, path: string, now: Micros): SignedFile => {
  if (entry.signature === null) return NONE;
  const header = parseImaSignature(entry.signature);
  if (typeof header === 'string') return { ...NONE, malformed: header };
  const trusted = policy.signers.filter(
    (signer) => isOpen(signer, now) && signer.paths.some((glob) => globMatches(glob, path)),
  );
  if (trusted.length === 0) return NONE;
  const checked = checkSignature(
    entry,
    trusted.map(({ key }) => key),
  );
  if (checked.result === 'bad') return { ...NONE, bad: checked.reason };
  if (checked.result !== 'valid') return NONE;
  return { ...NONE, by: trusted.find(({ key }) => key === checked.key)?.name ?? null };
};
