import { imaEntry } from '../../schemas/ima/entry.js';
import { checkSignature } from '../../schemas/ima/signature.js';
import { signingKey } from '../../schemas/ima/signing-key.js';
import { certificateOf, KEY_NAMES, portableRecord, SIGNATURES, signedRecord } from '../support/evmctl-vectors.js';
import type { FuzzTarget } from '../support/fuzz.js';

const KEYS = KEY_NAMES.map((name) => signingKey(certificateOf(name)));
const HASHES = ['sha1', 'sha256', 'sha512'];
const PORTABLE = imaEntry(portableRecord());
/** Signatures that are valid: no other bytes may be. */
const GOOD = new Set(
  [...SIGNATURES.map(({ signature }) => signature), PORTABLE.signature!].map((bytes) => bytes.toString('hex')),
);

/** Signatures of files: header, DER and keys. None is valid but the ones that were made. */
export const target: FuzzTarget = {
  seeds: () => [...SIGNATURES.map(({ signature }) => signature), PORTABLE.signature!],
  maxBytes: 4096,
  run: (input) => {
    if (input.length === 0) return;
    const hash = HASHES[[2, 4, 6].indexOf(input[2] ?? 0)] ?? 'sha256';
    for (const entry of [imaEntry(signedRecord(hash, input)), { ...PORTABLE, signature: input }])
      if (checkSignature(entry, KEYS).result === 'valid' && !GOOD.has(input.toString('hex')))
        throw new Error('a signature was accepted that nobody made');
  },
};
