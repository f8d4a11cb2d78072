import { attestationKeyFaults } from '../../../schemas/tpm/attributes.js';
import type { TpmPublic } from '../../../schemas/tpm/public.js';
import type { Check } from './check.js';

/**
 * A key that is not restricted passes every other check and then signs a made-up quote: its attributes are what stops it
 * (TPM 2.0 Library, part 1, 25.1).
 */
export const attestationKeyCheck = (code: 'aik1.attributes' | 'aik2.attributes', key: TpmPublic): Check => [
  code,
  () => {
    const faults = attestationKeyFaults(key.attributes);
    return faults.length === 0 ? null : `the key is no attestation key: ${faults.join(', ')}`;
  },
];
