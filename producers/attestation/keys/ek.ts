import { AttestreamError } from '../../../schemas/errors.js';
import { EK_TEMPLATES, type EkTemplate } from '../../../schemas/tpm/ek-template.js';
import { marshalPublic } from '../../../schemas/tpm/marshal-public.js';
import { endorsementQualifiedName, objectName } from '../../../schemas/tpm/name.js';
import { parsePublic, type TpmPublic } from '../../../schemas/tpm/public.js';
import { TPM_RC } from '../../../schemas/tpm/response-code.js';
import { capabilityHandles } from '../tpm/capability.js';
import { HANDLE_RANGE, TPM_RH } from '../tpm/handle.js';
import { nvRead } from '../tpm/nv.js';
import { createPrimary } from '../tpm/object.js';
import type { Scope } from '../tpm/scope.js';
import { type Authorisation, password, policy, policySecret, startPolicySession } from '../tpm/session.js';
import { isTpmRefusal, type Tpm } from '../tpm/tpm.js';

/** Authorisation values of the hierarchies; empty on most machines. */
export interface HierarchyAuth {
  readonly endorsement?: Buffer;
  readonly owner?: Buffer;
}

/** A loaded endorsement key and how to use it. */
export interface EndorsementKey {
  readonly handle: number;
  readonly public: TpmPublic;
  readonly name: Buffer;
  readonly qualifiedName: Buffer;
  /** The TPMT_PUBLIC that it was made from. */
  readonly template: Buffer;
  readonly standard: EkTemplate;
  /** Authorisation for one command with this key; a policy has to be satisfied anew for each. */
  authorise(): Promise<Authorisation>;
}

const OBJECT_USER_WITH_AUTH = 0x40;

/** `unique` with the maker's nonce at its start (of x, for a curve), filled up with zeros. */
const withNonce = ({ fields, id }: EkTemplate, nonce: Buffer | null): Buffer => {
  if (nonce === null) return marshalPublic(fields);
  const filled = (size: number): Buffer => {
    if (nonce.length > size)
      throw new AttestreamError('TPM_BLOB_INVALID', `the EK nonce of template ${id} has ${nonce.length} bytes`);
    return Buffer.concat([nonce, Buffer.alloc(size - nonce.length)]);
  };
  return fields.type === 'rsa'
    ? marshalPublic({ ...fields, unique: filled(fields.unique.length) })
    : marshalPublic({ ...fields, unique: { ...fields.unique, x: filled(fields.unique.x.length) } });
};

/** The TPMT_PUBLIC that this TPM's maker says to use: the template in NV, else the standard one with the nonce in NV. */
const templateOf = async (tpm: Tpm, standard: EkTemplate, nv: ReadonlySet<number>): Promise<Buffer> => {
  if (nv.has(standard.templateIndex)) {
    const stored = await nvRead(tpm, standard.templateIndex);
    // Parsed, so that a made-up template fails here and not as a riddle of the TPM.
    if (stored !== null) return parsePublic(stored).bytes;
  }
  const nonce = standard.nonceIndex !== null && nv.has(standard.nonceIndex) ? standard.nonceIndex : null;
  return withNonce(standard, nonce === null ? null : await nvRead(tpm, nonce));
};

/** The NV indices that exist. */
export const nvIndices = async (tpm: Tpm): Promise<ReadonlySet<number>> =>
  new Set(await capabilityHandles(tpm, HANDLE_RANGE.nv));

/**
 * TPM2_CreatePrimary of an endorsement key from a standard template; flushed at the end of the scope. It is the same
 * key each time, until the endorsement seed changes.
 */
export const createEk = async (
  tpm: Tpm,
  scope: Scope,
  standard: EkTemplate,
  auth: HierarchyAuth = {},
  nv?: ReadonlySet<number>,
): Promise<EndorsementKey> => {
  const endorsement = password(auth.endorsement);
  const template = await templateOf(tpm, standard, nv ?? (await nvIndices(tpm)));
  const ek = await createPrimary(tpm, scope, TPM_RH.ENDORSEMENT, { template, authorisation: endorsement });
  const name = objectName(ek.public);
  let session: number | null = null;
  const authorise = async (): Promise<Authorisation> => {
    // The high range's policy has a branch for the owner of NV indices; but its keys take their empty password too.
    if ((ek.public.attributes & OBJECT_USER_WITH_AUTH) !== 0) return password();
    session ??= await startPolicySession(tpm, scope);
    await policySecret(tpm, session, TPM_RH.ENDORSEMENT, endorsement);
    return policy(session);
  };
  return { ...ek, name, qualifiedName: endorsementQualifiedName(name), template, standard, authorise };
};

/** What a TPM says to a template whose algorithms it does not have. */
const LACKING: readonly number[] = [0x81, 0x83, 0x84, 0x87, 0x89, 0x8c, 0x92, 0x96, 0xa6, TPM_RC.VALUE];

/**
 * The endorsement key that this machine is best known by: of a standard template for which the TPM has a certificate,
 * else the first whose algorithms it has. `kind` restricts that to RSA or elliptic curves, `id` to one template.
 */
export const chooseEk = async (
  tpm: Tpm,
  scope: Scope,
  wanted: { readonly kind?: 'rsa' | 'ecc'; readonly id?: string } = {},
  auth: HierarchyAuth = {},
): Promise<EndorsementKey> => {
  const nv = await nvIndices(tpm);
  const fitting = EK_TEMPLATES.filter(
    ({ id, fields }) => (wanted.id ?? id) === id && (wanted.kind ?? fields.type) === fields.type,
  );
  const certified = ({ certificateIndex }: EkTemplate): boolean => nv.has(certificateIndex);
  const inOrder = [...fitting.filter(certified), ...fitting.filter((standard) => !certified(standard))];
  let refused: unknown;
  for (const standard of inOrder) {
    try {
      return await createEk(tpm, scope, standard, auth, nv);
    } catch (error) {
      if (!isTpmRefusal(error, ...LACKING)) throw error;
      refused ??= error;
    }
  }
  throw refused ?? new AttestreamError('USAGE', `no endorsement key template is called ${wanted.id}`);
};
