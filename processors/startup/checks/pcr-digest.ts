import { isHashName } from '../../../schemas/tpm/algorithms.js';
import type { Attest } from '../../../schemas/tpm/attest.js';
import { type PcrValue, pcrDigest } from '../../../schemas/tpm/pcr-digest.js';
import type { Check } from './check.js';

/** Register values that came beside a quote are believed only if they are what it signed. `hash`: of the quote's signature. */
export const pcrDigestCheck = (attest: () => Attest, hash: () => string, values: readonly PcrValue[]): Check => [
  'pcr.digest',
  () => {
    const { quote } = attest();
    const name = hash();
    if (quote === null || !isHashName(name)) return 'there is no quote to compare with';
    const digest = pcrDigest(quote.selection, values, name);
    if (digest === null) return 'the value of a quoted register is missing';
    return digest.equals(quote.pcrDigest) ? null : 'the register values are not those that were quoted';
  },
];
