import type { Certificate } from './certificate.js';

export interface Anchors {
  readonly roots: readonly Certificate[];
  /** Issuers that the verifier knows of itself; those that the host sends are used beside them. */
  readonly intermediates: readonly Certificate[];
  /** Makers let the certificates of their issuers run out while the TPMs live on. */
  readonly allowExpiredIssuers: boolean;
}

export type Chain =
  | {
      readonly root: Certificate;
      /** The key's own certificate first, the root last. */
      readonly path: readonly Certificate[];
      /** What was let pass: `ek.certificate.loose`, `ek.certificate.expired-issuer`. */
      readonly warnings: readonly string[];
    }
  | { readonly failure: string };

/** tcg-kp-EKCertificate (EK Credential Profile, 3.2.15). */
const EK_CERTIFICATE = '2.23.133.8.1';

/** Certificates between key and root, and signatures checked in search of a path: both are the host's to choose otherwise. */
const MAX_DEPTH = 8;
const MAX_SIGNATURES = 64;
/** Certificates that a host may send along. */
export const MAX_SENT = 16;

const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

/** Why a certificate cannot stand for an endorsement key; null if it can. */
const leafFault = (leaf: Certificate, now: number): string | null => {
  if (leaf.unknownCritical.length > 0) return `critical extension ${leaf.unknownCritical[0]} is not understood`;
  if (leaf.constraints?.ca === true) return 'it is a certificate of an authority, not of an endorsement key';
  if (leaf.purposes !== null && !leaf.purposes.includes(EK_CERTIFICATE))
    return `it is for ${leaf.purposes.join(', ')}, not for endorsement keys`;
  if (now < leaf.notBefore) return `it is valid from ${day(leaf.notBefore)} on`;
  if (now > leaf.notAfter) return `it expired on ${day(leaf.notAfter)}`;
  return null;
};

/** Why a certificate cannot issue others; null if it can. `below`: issuers between it and the key. */
const issuerFault = (issuer: Certificate, below: number): string | null => {
  const { constraints, usages, unknownCritical, subjectText } = issuer;
  if (unknownCritical.length > 0) return `critical extension ${unknownCritical[0]} of ${subjectText} is not understood`;
  if (constraints?.ca !== true) return `${subjectText} is not an authority`;
  if (constraints.pathLength !== null && constraints.pathLength < below)
    return `${subjectText} may have ${constraints.pathLength} authorities below it, not ${below}`;
  if (usages !== null && !usages.certSign) return `${subjectText} may not sign certificates`;
  return null;
};

const expired = ({ notBefore, notAfter }: Certificate, now: number): boolean => now < notBefore || now > notAfter;

/**
 * A path from an endorsement key's certificate to a root, at the time `now` (ms). Nothing is fetched, revocation lists are
 * not looked at. Loops and long chains end the search, not the process.
 */
export const findChain = async (
  leaf: Certificate,
  sent: readonly Certificate[],
  { roots, intermediates, allowExpiredIssuers }: Anchors,
  now: number,
): Promise<Chain> => {
  const fault = leafFault(leaf, now);
  if (fault !== null) return { failure: `the certificate of the endorsement key is not usable: ${fault}` };
  const anchors = new Set(roots.map(({ fingerprint }) => fingerprint));
  const issuers = [...roots, ...intermediates, ...sent.slice(0, MAX_SENT)];
  const open: Certificate[][] = [[leaf]];
  let signatures = 0;
  let why = `no root is known that leads to ${leaf.subjectText || 'it'}`;
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const last = path.at(-1)!;
    // The roots stand first: what is pushed last is looked at first.
    for (const issuer of issuers.filter(({ subject }) => subject === last.issuer).reverse()) {
      if (path.some(({ fingerprint }) => fingerprint === issuer.fingerprint)) continue;
      const wrong = issuerFault(issuer, path.length - 1);
      if (wrong !== null) {
        why = wrong;
        continue;
      }
      if (!allowExpiredIssuers && expired(issuer, now)) {
        why = `${issuer.subjectText} is valid from ${day(issuer.notBefore)} to ${day(issuer.notAfter)} only`;
        continue;
      }
      if (++signatures > MAX_SIGNATURES) return { failure: 'too many certificates may have issued each other' };
      if (!(await last.signedBy(issuer))) {
        why = `${issuer.subjectText} did not sign the certificate of ${last.subjectText || 'the endorsement key'}`;
        continue;
      }
      const longer = [...path, issuer];
      if (anchors.has(issuer.fingerprint)) {
        const warnings = [
          ...(longer.some(({ loose }) => loose) ? ['ek.certificate.loose'] : []),
          ...(longer.some((certificate) => expired(certificate, now)) ? ['ek.certificate.expired-issuer'] : []),
        ];
        return { root: issuer, path: longer, warnings };
      }
      if (longer.length <= MAX_DEPTH) open.push(longer);
      else why = `the chain has more than ${MAX_DEPTH} authorities`;
    }
  }
  return { failure: `the certificate of the endorsement key leads to no root: ${why}` };
};
