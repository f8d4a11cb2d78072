import { parsePublic, type TpmPublic } from '../../../schemas/tpm/public.js';
import type { TpmReader } from '../../../schemas/tpm/reader.js';
import { sized, u32 } from '../../../schemas/tpm/writer.js';
import { TPM_RH } from './handle.js';
import type { Scope } from './scope.js';
import { type Authorisation, password } from './session.js';
import type { Tpm } from './tpm.js';

const NONE = Buffer.alloc(0);

/** TPM2B_SENSITIVE_CREATE: the new object's authorisation value, and no data of ours. */
const sensitive = (auth: Buffer): Buffer => sized(sized(auth), sized());

/** What follows the public template: outsideInfo and the PCRs noted in the creation data, both unused. */
const CREATION = Buffer.concat([sized(), u32(0)]);

/** A TPM2B_PUBLIC in an answer. */
export const readPublicArea = (reader: TpmReader): TpmPublic => parsePublic(Buffer.from(reader.sized('outPublic')));

/** An object that is loaded, transient or persistent. */
export interface LoadedObject {
  readonly handle: number;
  readonly public: TpmPublic;
}

export interface CreateOptions {
  /** TPMT_PUBLIC with the template's `unique`. */
  readonly template: Buffer;
  /** The new object's own authorisation value. */
  readonly auth?: Buffer;
  readonly authorisation?: Authorisation;
}

/** TPM2_CreatePrimary in a hierarchy; flushed at the end of the scope. The same template gives the same key again. */
export const createPrimary = async (
  tpm: Tpm,
  scope: Scope,
  hierarchy: number,
  { template, auth = NONE, authorisation = password() }: CreateOptions,
): Promise<LoadedObject> => {
  const { handle, parameters } = await tpm.execute({
    name: 'CreatePrimary',
    handles: [hierarchy],
    authorisations: [authorisation],
    parameters: Buffer.concat([sensitive(auth), sized(template), CREATION]),
    givesHandle: true,
  });
  scope.own(handle);
  return { handle, public: readPublicArea(parameters) };
};

/** A key as its parent wrapped it. Only this TPM can load `private`. */
export interface WrappedKey {
  readonly private: Buffer;
  readonly public: TpmPublic;
}

/** TPM2_Create under a loaded parent. Nothing stays in the TPM. */
export const create = async (
  tpm: Tpm,
  parent: number,
  { template, auth = NONE, authorisation = password() }: CreateOptions,
): Promise<WrappedKey> => {
  const { parameters } = await tpm.execute({
    name: 'Create',
    handles: [parent],
    authorisations: [authorisation],
    parameters: Buffer.concat([sensitive(auth), sized(template), CREATION]),
  });
  return { private: Buffer.from(parameters.sized('outPrivate')), public: readPublicArea(parameters) };
};

/** TPM2_Load under its parent; flushed at the end of the scope. */
export const load = async (
  tpm: Tpm,
  scope: Scope,
  parent: number,
  key: WrappedKey,
  authorisation: Authorisation = password(),
): Promise<LoadedObject> => {
  const { handle } = await tpm.execute({
    name: 'Load',
    handles: [parent],
    authorisations: [authorisation],
    parameters: Buffer.concat([sized(key.private), sized(key.public.bytes)]),
    givesHandle: true,
  });
  return { handle: scope.own(handle), public: key.public };
};

/** TPM2_LoadExternal of a public key alone, into the null hierarchy; flushed at the end of the scope. */
export const loadExternal = async (tpm: Tpm, scope: Scope, area: TpmPublic): Promise<LoadedObject> => {
  const { handle } = await tpm.execute({
    name: 'LoadExternal',
    parameters: Buffer.concat([sized(), sized(area.bytes), u32(TPM_RH.NULL)]),
    givesHandle: true,
  });
  return { handle: scope.own(handle), public: area };
};

/** TPM2_ReadPublic: public area, and the names as the TPM computes them. */
export const readPublic = async (
  tpm: Tpm,
  handle: number,
): Promise<{ readonly public: TpmPublic; readonly name: Buffer; readonly qualifiedName: Buffer }> => {
  const { parameters } = await tpm.execute({ name: 'ReadPublic', handles: [handle] });
  const area = readPublicArea(parameters);
  return { public: area, name: parameters.sized('name'), qualifiedName: parameters.sized('qualifiedName') };
};

/**
 * TPM2_EvictControl: makes a loaded object persistent under a handle, or removes the persistent object if `object` is
 * that handle itself.
 */
export const evictControl = async (
  tpm: Tpm,
  object: number,
  persistent: number,
  owner: Authorisation = password(),
): Promise<void> => {
  const handles = [TPM_RH.OWNER, object];
  await tpm.execute({ name: 'EvictControl', handles, authorisations: [owner], parameters: u32(persistent) });
};
