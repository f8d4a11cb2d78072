import { isAttestreamError } from '../../../schemas/errors.js';
import type { BundleKey } from '../../../schemas/evidence/bundle.js';
import { ATTESTATION_KEY } from '../../../schemas/tpm/attributes.js';
import { fromPem } from '../../../schemas/tpm/marshal-public.js';
import { parsePublic, type TpmPublic } from '../../../schemas/tpm/public.js';
import { publicKeyObject } from '../../../schemas/tpm/public-key.js';

/** A bundle's key: `object` if it came as a TPM object, whose name and attributes are known. */
export interface ParsedKey {
  readonly key: TpmPublic;
  readonly object: boolean;
}

/** The key, or why it is none. */
export const bundleKey = (given: BundleKey): ParsedKey | string => {
  try {
    const key =
      'area' in given
        ? parsePublic(given.area)
        : fromPem(given.pem, { nameAlg: 'sha256', attributes: ATTESTATION_KEY, scheme: null });
    publicKeyObject(key);
    return { key, object: 'area' in given };
  } catch (error) {
    if (!isAttestreamError(error)) throw error;
    return error.message;
  }
};
