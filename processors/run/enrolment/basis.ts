import type { Approval, EnrolRequest } from '../../../schemas/records.js';
import type { TpmPublic } from '../../../schemas/tpm/public.js';
import { type Certificate, readCertificate } from './certificate.js';
import { type Anchors, findChain, MAX_SENT } from './chain.js';
import { certifies } from './endorsement-key.js';
import { rootSetDigest } from './root-set.js';

/** What an enrolment rests on. */
export interface Basis {
  /** approved: an operator named this key; roots: some genuine TPM, label unverified */
  readonly basis: 'approved' | 'roots';
  readonly label: string;
  readonly anchors: readonly string[];
  readonly notChecked: readonly string[];
}

export interface Asking {
  readonly request: EnrolRequest;
  readonly ek: TpmPublic;
  /** hex SHA-256 of the endorsement key's SPKI */
  readonly ekSpki: string;
  /** ms: what "now" is for certificates, so that a replay comes to the same end. */
  readonly receivedAt: number;
}

/**
 * What a request may be enrolled on: an operator's approval of its very key, or one of a set of roots that its certificate leads
 * to. `missing`: what stands against it beside a missing approval, '' if nothing.
 */
export const enrolmentBasis = async (
  asking: Asking,
  approvals: readonly Approval[],
  anchors: Anchors,
): Promise<Basis | { readonly missing: string }> => {
  const { request, ekSpki } = asking;
  const chain = await chainOf(asking, anchors);
  const root = 'anchor' in chain ? [chain.anchor] : [];
  const pin = approvals.filter((approval) => approval.ekSpki.toString('hex') === ekSpki).at(-1);
  if (pin !== undefined)
    return {
      basis: 'approved',
      label: pin.label,
      anchors: [`sha256:${ekSpki}`, ...root],
      notChecked: 'anchor' in chain ? chain.notChecked : ['ek.certificate'],
    };
  const rootSet = rootSetDigest(anchors.roots);
  const byRoots = approvals.some((approval) => approval.ekSpki.length === 0 && approval.rootSet === rootSet);
  if (byRoots && 'anchor' in chain)
    return { basis: 'roots', label: request.label, anchors: root, notChecked: ['label', ...chain.notChecked] };
  return { missing: byRoots && 'failure' in chain ? `: ${chain.failure}` : '' };
};

const chainOf = async (
  { request, ek, receivedAt }: Asking,
  anchors: Anchors,
): Promise<{ readonly anchor: string; readonly notChecked: readonly string[] } | { readonly failure: string }> => {
  const [first, ...more] = request.ekCertificates.slice(0, MAX_SENT);
  if (first === undefined) return { failure: 'it sent no certificate of its endorsement key' };
  try {
    const leaf = readCertificate(first);
    if (!certifies(leaf, ek)) return { failure: 'its certificate is for another key' };
    const chain = await findChain(leaf, more.flatMap(readable), anchors, receivedAt);
    if ('failure' in chain) return chain;
    return { anchor: `sha256:${chain.root.fingerprint}`, notChecked: ['ek.revocation', ...chain.warnings] };
  } catch (error) {
    return { failure: (error as Error).message };
  }
};

/** An issuer that cannot be read is no reason to refuse: another path may do without it. */
const readable = (bytes: Buffer): Certificate[] => {
  try {
    return [readCertificate(bytes)];
  } catch {
    return [];
  }
};
