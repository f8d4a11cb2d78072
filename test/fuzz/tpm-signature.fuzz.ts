import { parsePublic } from '../../schemas/tpm/public.js';
import { marshalSignature, parseSignature, signatureFits, verifySignature } from '../../schemas/tpm/signature.js';
import type { FuzzTarget } from '../support/fuzz.js';
import { TPM_VECTORS } from '../support/tpm-vectors.js';

const keys = TPM_VECTORS.quotes.map((vector) => ({ ...vector, area: parsePublic(vector.public) }));

/** Signatures: read, and none but the original is right for its message. */
export const target: FuzzTarget = {
  seeds: () => keys.map(({ signature }) => signature),
  maxBytes: 4096,
  run: (input) => {
    const signature = parseSignature(input);
    if (!marshalSignature(signature).equals(input)) {
      // Hashes that are not known have no id of their own to be written with.
      if (signatureFits(keys[0]!.area, signature)) throw new Error('it is not written as it was read');
    }
    for (const { area, message, signature: original, hash } of keys) {
      if (!signatureFits(area, signature, [hash]) || original.equals(input)) continue;
      if (verifySignature(area, message, signature) && !isPadded(input, original))
        throw new Error('an altered signature was accepted');
    }
  },
};

/** Coordinates may come without the zeros in front: the same two numbers are the same signature. */
const isPadded = (input: Buffer, original: Buffer): boolean => {
  const numbers = (bytes: Buffer): string => {
    const signature = parseSignature(bytes);
    if (signature.algorithm !== 'ecdsa') return bytes.toString('hex');
    return [signature.r, signature.s].map((number) => BigInt(`0x${number.toString('hex')}`)).join();
  };
  return numbers(input) === numbers(original);
};
