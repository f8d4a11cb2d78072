import { createHash } from 'node:crypto';
import { type ImaRecord, isZero } from '../../schemas/ima/entry.js';
import { IMA_BANKS, type ImaBank, templateHash } from '../../schemas/ima/template-hash.js';
import { isHashName } from '../../schemas/tpm/algorithms.js';
import { parseAttest } from '../../schemas/tpm/attest.js';
import { type PcrValue, pcrDigest } from '../../schemas/tpm/pcr-digest.js';
import type { PcrSelection } from '../../schemas/tpm/selection.js';
import { parseSignature } from '../../schemas/tpm/signature.js';
import type { Attestation } from './tpm/attestation.js';

export interface QuotedRegisters {
  readonly quoted: Attestation;
  readonly selection: PcrSelection;
  /** As read shortly before the quote, those of one list's register at one instant. */
  readonly before: readonly PcrValue[];
  /** Records of the kernel's list, oldest first: some before the reading, all that came until after the quote. */
  readonly window: readonly ImaRecord[];
}

/** What the kernel extends where it does not have a bank's own hash: SHA-1, padded with zeros. */
type Padded = ReadonlySet<ImaBank>;

/** Which banks may be padded, likeliest first (kernels from 5.8 hash; some lack the longer hashes; older ones pad all). */
const PADDINGS: readonly Padded[] = [
  new Set(),
  new Set<ImaBank>(['sha384', 'sha512']),
  new Set<ImaBank>(['sha256', 'sha384', 'sha512']),
];

const extension = ({ data, template, templateDigest }: ImaRecord, bank: ImaBank, padded: Padded): Buffer => {
  const size = createHash(bank).digest().length;
  if (isZero(templateDigest)) return Buffer.alloc(size, 0xff);
  if (!padded.has(bank)) return templateHash(bank, template === 'ima', data);
  return Buffer.concat([templateHash('sha1', template === 'ima', data), Buffer.alloc(size - 20)]);
};

/** Extensions that are tried at most: a window of a hundred records in every way. */
const MAX_TRIED = 20_000;

const isImaBank = (hash: string): hash is ImaBank => (IMA_BANKS as readonly string[]).includes(hash);

const extended = (values: readonly PcrValue[], record: ImaRecord, padded: Padded): readonly PcrValue[] =>
  values.map(({ hash, pcr, value }) => {
    if (pcr !== record.pcr || !isImaBank(hash)) return { hash, pcr, value };
    const next = createHash(hash)
      .update(value)
      .update(extension(record, hash, padded))
      .digest();
    return { hash, pcr, value: next };
  });

/**
 * The register values that a quote was made over. A kernel that works extends its list's register between a reading and the
 * quote, faster than they can be brought together; but what it extended stands in its list. null if the list does not say.
 */
export const registersAtQuote = ({
  quoted,
  selection,
  before,
  window,
}: QuotedRegisters): readonly PcrValue[] | null => {
  const { hash } = parseSignature(quoted.signature);
  const wanted = parseAttest(quoted.attest).quote?.pcrDigest;
  if (!isHashName(hash) || wanted === undefined) return null;
  const fits = (values: readonly PcrValue[]): boolean => pcrDigest(selection, values, hash)?.equals(wanted) === true;
  if (fits(before)) return before;
  let tried = 0;
  for (const padded of PADDINGS)
    for (let from = 0; from < window.length; from++) {
      // The reading may have been before any record of the window.
      let values = before;
      for (const record of window.slice(from)) {
        if (++tried > MAX_TRIED) return null;
        values = extended(values, record, padded);
        if (fits(values)) return values;
      }
    }
  return null;
};
