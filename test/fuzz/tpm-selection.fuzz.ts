import { isAttestreamError } from '../../schemas/errors.js';
import { parseAttest } from '../../schemas/tpm/attest.js';
import { parseCredentialFile } from '../../schemas/tpm/credential-file.js';
import { pcrDigest } from '../../schemas/tpm/pcr-digest.js';
import { parseKeylimeQuote, parsePcrFile } from '../../schemas/tpm/quote-files.js';
import {
  marshalSelection,
  parseSelection,
  sameSelection,
  selectionFromText,
  selectionText,
} from '../../schemas/tpm/selection.js';
import type { FuzzTarget } from '../support/fuzz.js';
import { quoteVector, TPM_VECTORS } from '../support/tpm-vectors.js';

const { message, signature, pcrs, values } = quoteVector('ecc');
const { selection } = parseAttest(message).quote!;
const keylime = `r${[message, signature, pcrs!].map((part) => part.toString('base64')).join(':')}`;

const READERS: readonly ((input: Buffer) => void)[] = [
  (input) => {
    const parsed = parseSelection(input);
    if (!sameSelection(parseSelection(marshalSelection(parsed)), parsed)) throw new Error('not the same selection');
  },
  (input) => {
    const parsed = selectionFromText(input.toString('latin1'));
    if (!sameSelection(selectionFromText(selectionText(parsed)), parsed)) throw new Error('not the same selection');
  },
  (input) => void pcrDigest(selection, parsePcrFile(input, selection), 'sha256'),
  (input) => void parseKeylimeQuote(input.toString('latin1')),
  (input) => void parseCredentialFile(input),
];

/** Selections on the wire and in text, and the files of tpm2-tools and Keylime that hold such. */
export const target: FuzzTarget = {
  seeds: () => [
    marshalSelection(selection),
    Buffer.from(selectionText(selection)),
    pcrs!,
    values,
    Buffer.from(keylime),
    ...TPM_VECTORS.credentials.map(({ file }) => file),
  ],
  maxBytes: 16 * 1024,
  run: (input) => {
    let refusal: unknown = null;
    let taken = 0;
    for (const read of READERS)
      try {
        read(input);
        taken++;
      } catch (error) {
        if (!isAttestreamError(error)) throw error;
        refusal = error;
      }
    if (taken === 0) throw refusal;
  },
};
