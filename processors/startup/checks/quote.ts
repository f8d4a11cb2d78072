import { TPM_ST_ATTEST_QUOTE } from '../../../schemas/tpm/attest.js';
import { objectName, qualifiedName } from '../../../schemas/tpm/name.js';
import type { TpmPublic } from '../../../schemas/tpm/public.js';
import { type PcrSelection, selectionText } from '../../../schemas/tpm/selection.js';
import type { Attested } from './attested.js';
import type { Check } from './check.js';

export interface QuoteInput {
  readonly quote: Attested;
  readonly aik2: TpmPublic;
  /** null: not known, not checked. */
  readonly qualifyingData: Buffer | null;
  /** Qualified name of AIK2's parent; null: not known. */
  readonly parent: Buffer | null;
  /** Registers that were asked for; null: any. */
  readonly asked: PcrSelection | null;
}

/** Registers that were asked for and are not quoted. More than was asked for is no fault: others may have asked too. */
export const unquoted = (asked: PcrSelection, quoted: PcrSelection): PcrSelection =>
  asked
    .map(({ hash, pcrs }) => {
      const bank = new Set(quoted.filter((one) => one.hash === hash).flatMap((one) => one.pcrs));
      return { hash, pcrs: pcrs.filter((pcr) => !bank.has(pcr)) };
    })
    .filter(({ pcrs }) => pcrs.length > 0);

/** AIK2's word on the registers (TPM2_Quote): the only statement about the platform that is signed. */
export const quoteChecks = ({ quote, aik2, qualifyingData, parent, asked }: QuoteInput): readonly Check[] => [
  ['quote.signature', () => quote.signedBy(aik2, 'AIK2')],
  ['quote.malformed', () => quote.readable()],
  ['quote.magic', () => quote.generated()],
  ['quote.type', () => quote.ofType(TPM_ST_ATTEST_QUOTE, 'quote')],
  ...(qualifyingData === null ? [] : [['quote.nonce', () => quote.answers(qualifyingData)] as const]),
  ...(parent === null
    ? []
    : [['quote.signer', () => quote.signer(qualifiedName(parent, objectName(aik2)), 'AIK2')] as const]),
  [
    'quote.selection',
    () => {
      const quoted = quote.attest.quote?.selection ?? [];
      const missing = asked === null ? [] : unquoted(asked, quoted);
      if (missing.length > 0) return `not quoted, though asked for: ${selectionText(missing)}`;
      return quoted.some(({ pcrs }) => pcrs.length > 0) ? null : 'no register is quoted';
    },
  ],
  ['quote.trailing', () => quote.ends()],
];
