import type { Attest } from './attest.js';
import { marshalSelection } from './selection.js';
import { sized, u8, u16, u32, u64 } from './writer.js';

/** TPMS_ATTEST of these fields, whatever they say: for whoever stands in for a TPM. */
export const marshalAttest = (fields: Omit<Attest, 'bytes' | 'trailing'>): Buffer => {
  const { magic, type, qualifiedSigner, extraData, clock, resetCount, restartCount, safe, firmwareVersion } = fields;
  const { certify, quote } = fields;
  return Buffer.concat([
    u32(magic),
    u16(type),
    sized(qualifiedSigner),
    sized(extraData),
    u64(clock),
    u32(resetCount),
    u32(restartCount),
    u8(safe ? 1 : 0),
    u64(firmwareVersion),
    ...(certify === null ? [] : [sized(certify.name), sized(certify.qualifiedName)]),
    ...(quote === null ? [] : [marshalSelection(quote.selection), sized(quote.pcrDigest)]),
  ]);
};
