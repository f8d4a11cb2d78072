import { AttestreamError } from '../../../schemas/errors.js';
import { attestationKeyFaults } from '../../../schemas/tpm/attributes.js';
import { capabilityHandles } from '../tpm/capability.js';
import { HANDLE_RANGE, handleText } from '../tpm/handle.js';
import { evictControl, readPublic } from '../tpm/object.js';
import type { Scope } from '../tpm/scope.js';
import { password } from '../tpm/session.js';
import type { Tpm } from '../tpm/tpm.js';
import {
  type AttestationKey,
  type AttestationKeyKind,
  attestationKey,
  createAttestationKey,
} from './attestation-key.js';
import type { EndorsementKey, HierarchyAuth } from './ek.js';

/** In the owner's range, apart from where storage keys and endorsement keys are kept by convention. */
export const AIK1_HANDLE = 0x81020001;

/**
 * AIK1 under its persistent handle; null if the handle is free. Throws TPM_COMMAND_FAILED, or USAGE if the object
 * there is no attestation key of this EK: somebody else's, or one from before the TPM was cleared.
 */
export const findAik1 = async (tpm: Tpm, ek: EndorsementKey, handle = AIK1_HANDLE): Promise<AttestationKey | null> => {
  const persistent = await capabilityHandles(tpm, HANDLE_RANGE.persistent);
  if (!persistent.includes(handle)) return null;
  const found = await readPublic(tpm, handle);
  const key = attestationKey(handle, found.public, ek.qualifiedName, password());
  const faults = attestationKeyFaults(found.public.attributes);
  // The TPM's own word for the parent: a key of another parent has another qualified name.
  const foreign = key.qualifiedName.equals(found.qualifiedName) ? [] : ['not a child of this EK'];
  const why = [...faults, ...foreign];
  if (why.length > 0)
    throw new AttestreamError(
      'USAGE',
      `the object at ${handleText(handle)} is not the platform's attestation key (${why.join(', ')}): name another handle, or evict it`,
    );
  return key;
};

/** Creates AIK1 under the EK and makes it persistent. */
export const createAik1 = async (
  tpm: Tpm,
  scope: Scope,
  ek: EndorsementKey,
  kind?: AttestationKeyKind,
  { owner }: HierarchyAuth = {},
  handle = AIK1_HANDLE,
): Promise<AttestationKey> => {
  const made = await createAttestationKey(tpm, scope, ek, kind);
  await evictControl(tpm, made.handle, handle, password(owner));
  await scope.release(made.handle);
  return { ...made, handle };
};

/** AIK1 as it is, or a new one. */
export const aik1 = async (
  tpm: Tpm,
  scope: Scope,
  ek: EndorsementKey,
  kind?: AttestationKeyKind,
  auth: HierarchyAuth = {},
  handle = AIK1_HANDLE,
): Promise<AttestationKey> =>
  (await findAik1(tpm, ek, handle)) ?? (await createAik1(tpm, scope, ek, kind, auth, handle));

/** Removes AIK1; the host has to be enrolled again. */
export const evictAik1 = (tpm: Tpm, { owner }: HierarchyAuth = {}, handle = AIK1_HANDLE): Promise<void> =>
  evictControl(tpm, handle, handle, password(owner));
