import { taggedHash } from '../../../schemas/tagged-hash.js';
import type { Certificate } from './certificate.js';

/** `sha256:HEX` over the fingerprints of the roots, sorted: the name of a set of trust anchors. */
export const rootSetDigest = (roots: readonly Certificate[]): string => {
  const fingerprints = [...new Set(roots.map(({ fingerprint }) => fingerprint))].sort();
  return `sha256:${taggedHash('attestream/roots/1', ...fingerprints.map((hex) => Buffer.from(hex, 'hex'))).toString('hex')}`;
};
