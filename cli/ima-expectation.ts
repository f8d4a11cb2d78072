import { AttestreamError } from '../schemas/errors.js';
import type { QuotedPcr } from '../schemas/ima/prefix-search.js';
import { BANK_BYTES, IMA_BANKS } from '../schemas/ima/template-hash.js';
import { didYouMean } from '../schemas/suggest.js';

/** PCRs of a TPM. */
const MAX_PCR = 23;

/** `sha256:10=HEX` → a value to explain. Throws USAGE. */
export const expectedPcr = (text: string): QuotedPcr => {
  const match = /^([a-z0-9_]+):(\d{1,2})=(?:0x)?([0-9a-f]+)$/i.exec(text.trim());
  const fail = (what: string): AttestreamError =>
    new AttestreamError(
      'USAGE',
      `--expect is written like sha256:10=HEX, and ${JSON.stringify(text.slice(0, 200))} ${what}`,
    );
  if (match === null) throw fail('is not');
  const [, name, number, hex] = match as unknown as [string, string, string, string];
  const bank = IMA_BANKS.find((known) => known === name.toLowerCase());
  if (bank === undefined) throw fail(`names no bank of a TPM; ${didYouMean(name, IMA_BANKS)}`);
  if (Number(number) > MAX_PCR) throw fail(`names no PCR of a TPM (0 to ${MAX_PCR})`);
  if (hex.length !== BANK_BYTES[bank] * 2)
    throw fail(`has ${hex.length} hex digits; a value of ${bank} has ${BANK_BYTES[bank] * 2}`);
  return { bank, pcr: Number(number), value: Buffer.from(hex, 'hex') };
};
