import { hostId } from '../../schemas/evidence/enrolment.js';
import { aik1, findAik1 } from './keys/aik1.js';
import type { AttestationKey, AttestationKeyKind } from './keys/attestation-key.js';
import { chooseEk, type EndorsementKey, type HierarchyAuth, nvIndices } from './keys/ek.js';
import { certificateFromNv, chainFromNv } from './keys/ek-certificate.js';
import type { Scope } from './tpm/scope.js';
import { withScope } from './tpm/scope.js';
import { password } from './tpm/session.js';
import type { Tpm } from './tpm/tpm.js';

/** Which keys of a TPM stand for the host, and what is needed to use them. */
export interface PlatformOptions {
  readonly tpm: Tpm;
  readonly auth?: HierarchyAuth;
  /** Name of the endorsement key's template (`L-1`, `H-3`); default: the one that the TPM has a certificate for. */
  readonly ekTemplate?: string;
  /** Of AIK1 and AIK2, where they are made. */
  readonly kind?: AttestationKeyKind;
}

/** Who the host is, by its TPM. */
export interface Platform {
  /** hex */
  readonly host: string;
  readonly nameEk: Buffer;
  /** TPMT_PUBLIC */
  readonly ekPublic: Buffer;
  /** `L-1` */
  readonly ekTemplate: string;
  /** Persistent; null where the host never asked to be enrolled. */
  readonly aik1: AttestationKey | null;
}

export const loadEk = ({ tpm, auth, ekTemplate }: PlatformOptions, scope: Scope): Promise<EndorsementKey> =>
  chooseEk(tpm, scope, ekTemplate === undefined ? {} : { id: ekTemplate }, auth);

const platformOf = (ek: EndorsementKey, key: AttestationKey | null): Platform => ({
  host: hostId(ek.name),
  nameEk: ek.name,
  ekPublic: ek.public.bytes,
  ekTemplate: ek.standard.id,
  aik1: key,
});

/** The host's identity as it is. Nothing stays loaded. */
export const readPlatform = (options: PlatformOptions): Promise<Platform> =>
  withScope(options.tpm, async (scope) => {
    const ek = await loadEk(options, scope);
    return platformOf(ek, await findAik1(options.tpm, ek));
  });

/** The host's identity with an AIK1, made and kept in the TPM if there is none yet. */
export const makePlatform = (options: PlatformOptions): Promise<Platform & { readonly aik1: AttestationKey }> =>
  withScope(options.tpm, async (scope) => {
    const ek = await loadEk(options, scope);
    const key = await aik1(options.tpm, scope, ek, options.kind, options.auth);
    return { ...platformOf(ek, key), aik1: key };
  });

/** Certificates of the endorsement key from the TPM's memory, its own first; empty where it holds none. */
export const ekCertificates = (options: PlatformOptions): Promise<readonly Buffer[]> =>
  withScope(options.tpm, async (scope) => {
    const { tpm, auth } = options;
    const { standard } = await loadEk(options, scope);
    const owner = password(auth?.owner);
    const nv = await nvIndices(tpm);
    const own = nv.has(standard.certificateIndex)
      ? await certificateFromNv(tpm, standard.certificateIndex, owner)
      : null;
    return own === null ? [] : [own, ...(await chainFromNv(tpm, nv, owner))];
  });
