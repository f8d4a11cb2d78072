import type { FileDigest } from '../../../schemas/ima/entry.js';
import { globMatches } from '../../../schemas/policy/glob.js';
import type { HostPolicy, Window } from '../../../schemas/policy/host/host-policy.js';
import type { Micros } from '../../../schemas/records.js';

/** A digest in the form in which policies name it. */
export const digestName = ({ algorithm, digest, kind }: FileDigest): string =>
  `${kind === 'verity' ? 'verity:' : ''}${algorithm}:${digest.toString('hex')}`;

export const isOpen = ({ from, until }: Window, now: Micros): boolean =>
  (from === null || now >= from) && (until === null || now < until);

/** Whether the policy lists this digest for this path at this time. */
export const isListed = (policy: HostPolicy, digest: string, path: string, now: Micros): boolean =>
  policy.files?.get(digest)?.some((reference) => isOpen(reference, now) && globMatches(reference.path, path)) === true;
