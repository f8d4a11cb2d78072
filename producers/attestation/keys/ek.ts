import { AttestreamError } from '../../../schemas/errors.js';
import { curveOf } from '../../../schemas/tpm/algorithms.js';
import { OBJECT_ATTRIBUTES } from '../../../schemas/tpm/attributes.js';
import { EK_TEMPLATES, type EkTemplate } from '../../../schemas/tpm/ek-template.js';
import { marshalPublic, type PublicFields } from '../../../schemas/tpm/marshal-public.js';
import { endorsementQualifiedName, objectName } from '../../../schemas/tpm/name.js';
import { type EccPublic, parsePublic, type RsaPublic, type TpmPublic } from '../../../schemas/tpm/public.js';
import { unwrapSized } from '../../../schemas/tpm/reader.js';
import { TPM_RC } from '../../../schemas/tpm/response-code.js';
import { capabilityHandles } from '../tpm/capability.js';
import { isTpmRefusal } from '../tpm/command.js';
import { HANDLE_RANGE, TPM_RH } from '../tpm/handle.js';
import { nvRead } from '../tpm/nv.js';
import { createPrimary } from '../tpm/object.js';
import type { Scope } from '../tpm/scope.js';
import { type Authorisation, password, policy, policySecret, startPolicySession } from '../tpm/session.js';
import type { Tpm } from '../tpm/tpm.js';

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

/** A template with the maker's nonce at the start of `unique` (of x, for a curve), filled up with zeros. */
const withNonce = (fields: PublicFields, nonce: Buffer): Buffer => {
  const size = fields.type === 'rsa' ? fields.keyBits / 8 : (curveOf(fields.curve)?.size ?? 0);
  if (nonce.length > size)
    throw new AttestreamError('TPM_BLOB_INVALID', `the nonce of the EK in NV has ${nonce.length} bytes`);
  const filled = Buffer.concat([nonce, Buffer.alloc(size - nonce.length)]);
  return fields.type === 'rsa'
    ? marshalPublic({ ...fields, unique: filled })
    : marshalPublic({ ...fields, unique: { x: filled, y: Buffer.alloc(size) } });
};

/** A template in NV; parsed, so that a made-up one fails here and not as a riddle of the TPM. */
const storedTemplate = (stored: Buffer): RsaPublic | EccPublic => {
  const area = parsePublic(unwrapSized(stored));
  if (area.type === 'rsa' || area.type === 'ecc') return area;
  throw new AttestreamError('TPM_BLOB_INVALID', `the template of the EK in NV is of type ${area.type}`);
};

/** The TPMT_PUBLIC that this TPM's maker says to use: the template in NV or the standard one, with the nonce in NV. */
const templateOf = async (tpm: Tpm, standard: EkTemplate, nv: ReadonlySet<number>): Promise<Buffer> => {
  const at = async (index: number | null): Promise<Buffer | null> =>
    index !== null && nv.has(index) ? nvRead(tpm, index) : null;
  const stored = await at(standard.templateIndex);
  const area = stored === null ? null : storedTemplate(stored);
  const nonce = await at(standard.nonceIndex);
  if (nonce !== null) return withNonce(area ?? standard.fields, nonce);
  return area?.bytes ?? marshalPublic(standard.fields);
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
    if ((ek.public.attributes & OBJECT_ATTRIBUTES.userWithAuth) !== 0) return password();
    session ??= await startPolicySession(tpm, scope);
    await policySecret(tpm, session, TPM_RH.ENDORSEMENT, endorsement);
    return policy(session);
  };
  return { ...ek, name, qualifiedName: endorsementQualifiedName(name), template, standard, authorise };
};

/** What a TPM says to a template whose algorithms, sizes or curve it does not have. */
const LACKING: readonly number[] = [
  TPM_RC.ASYMMETRIC,
  TPM_RC.HASH,
  TPM_RC.VALUE,
  TPM_RC.KEY_SIZE,
  TPM_RC.MODE,
  TPM_RC.KDF,
  TPM_RC.SCHEME,
  TPM_RC.SYMMETRIC,
  TPM_RC.CURVE,
];

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
