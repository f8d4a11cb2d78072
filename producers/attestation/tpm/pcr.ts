import { AttestreamError } from '../../../schemas/errors.js';
import { algorithmId, hashSize, MAX_DIGEST } from '../../../schemas/tpm/algorithms.js';
import type { PcrValue } from '../../../schemas/tpm/pcr-digest.js';
import type { TpmReader } from '../../../schemas/tpm/reader.js';
import {
  marshalSelection,
  type PcrSelection,
  readSelection,
  selectedRegisters,
} from '../../../schemas/tpm/selection.js';
import { u16, u32 } from '../../../schemas/tpm/writer.js';
import { password } from './session.js';
import type { Tpm } from './tpm.js';

/** Digests in one answer (TPML_DIGEST). */
const MAX_DIGESTS = 8;

const without = (selection: PcrSelection, read: PcrSelection): PcrSelection =>
  selection
    .map(({ hash, pcrs }) => {
      const done = new Set(read.filter((bank) => bank.hash === hash).flatMap((bank) => bank.pcrs));
      return { hash, pcrs: pcrs.filter((pcr) => !done.has(pcr)) };
    })
    .filter(({ pcrs }) => pcrs.length > 0);

interface PcrAnswer {
  readonly updateCounter: number;
  readonly selection: PcrSelection;
  readonly values: readonly PcrValue[];
}

/** One answer to TPM2_PCR_Read: what it could hold of what was asked for. */
export const readPcrAnswer = (parameters: TpmReader): PcrAnswer => {
  const updateCounter = parameters.u32('updateCounter');
  const selection = readSelection(parameters);
  const count = parameters.u32('number of digests');
  const registers = selectedRegisters(selection);
  if (count > MAX_DIGESTS || count !== registers.length)
    throw parameters.invalid(`${count} digests for ${registers.length} registers`);
  const values = registers.map(({ hash, pcr }) => ({ hash, pcr, value: parameters.sized('digest', MAX_DIGEST) }));
  return { updateCounter, selection, values };
};

/**
 * TPM2_PCR_Read until all selected registers are read: an answer holds eight. Registers of banks that the TPM does not
 * keep are absent. `updateCounter` is that of the last round; if it moved in between, a register may have changed
 * between the rounds, and the caller may want to read again.
 */
export const pcrRead = async (
  tpm: Tpm,
  selection: PcrSelection,
): Promise<{ readonly values: readonly PcrValue[]; readonly updateCounter: number; readonly changed: boolean }> => {
  const values: PcrValue[] = [];
  const counters = new Set<number>();
  let updateCounter = 0;
  for (let left = selection; left.length > 0; ) {
    const { parameters } = await tpm.execute({ name: 'PCR_Read', parameters: marshalSelection(left) });
    const round = readPcrAnswer(parameters);
    updateCounter = round.updateCounter;
    values.push(...round.values);
    // Nothing at all: the rest is of banks that this TPM does not keep.
    if (round.values.length === 0) break;
    counters.add(updateCounter);
    const rest = without(left, round.selection);
    if (selectedRegisters(rest).length === selectedRegisters(left).length)
      throw parameters.invalid('the TPM gave registers that were not asked for');
    left = rest;
  }
  return { values, updateCounter, changed: counters.size > 1 };
};

/** TPM2_PCR_Extend: one digest for each bank, in one command, so that the banks never tell different stories. */
export const pcrExtend = async (tpm: Tpm, pcr: number, digests: Readonly<Record<string, Buffer>>): Promise<void> => {
  const entries = Object.entries(digests).map(([hash, digest]) => {
    const id = algorithmId(hash);
    if (id === null || hashSize(hash) !== digest.length)
      throw new AttestreamError('USAGE', `${digest.length} bytes are not a digest of PCR bank ${hash}`);
    return Buffer.concat([u16(id), digest]);
  });
  await tpm.execute({
    name: 'PCR_Extend',
    handles: [pcr],
    authorisations: [password()],
    parameters: Buffer.concat([u32(entries.length), ...entries]),
  });
};

/** TPM2_PCR_Reset; only of the registers that can be reset (16 and 23 from the operating system). */
export const pcrReset = async (tpm: Tpm, pcr: number): Promise<void> => {
  await tpm.execute({ name: 'PCR_Reset', handles: [pcr], authorisations: [password()] });
};
