import { parseAttest } from '../../schemas/tpm/attest.js';
import { marshalAttest } from '../../schemas/tpm/marshal-attest.js';
import { parsePublic } from '../../schemas/tpm/public.js';
import { parseSignature, verifySignature } from '../../schemas/tpm/signature.js';
import type { FuzzTarget } from '../support/fuzz.js';
import { TPM_VECTORS } from '../support/tpm-vectors.js';

const signed = TPM_VECTORS.quotes.flatMap(({ public: area, message, signature, certify, certifySignature }) => [
  { area: parsePublic(area), message, signature: parseSignature(signature) },
  { area: parsePublic(area), message: certify, signature: parseSignature(certifySignature) },
]);
const originals = new Set(signed.map(({ message }) => message.toString('hex')));

/** Quotes and certificates of objects: read, and none but the original is what was signed. */
export const target: FuzzTarget = {
  seeds: () => signed.map(({ message }) => message),
  maxBytes: 4096,
  run: (input) => {
    const attest = parseAttest(input);
    const { quote, certify, trailing } = attest;
    if ((quote === null && certify === null) || trailing > 0) return;
    // What was read says all there is: written again, it reads the same.
    const again = parseAttest(marshalAttest(attest));
    if (again.extraData.compare(attest.extraData) !== 0 || again.clock !== attest.clock)
      throw new Error('not the same');
    if (originals.has(input.toString('hex'))) return;
    const [first] = signed;
    if (verifySignature(first!.area, input, first!.signature)) throw new Error('an altered attestation was accepted');
  },
};
