import { algorithmName, curveOf } from '../../../schemas/tpm/algorithms.js';
import type { TpmReader } from '../../../schemas/tpm/reader.js';
import { type PcrSelection, readSelection } from '../../../schemas/tpm/selection.js';
import { u32 } from '../../../schemas/tpm/writer.js';
import type { Tpm } from './tpm.js';

const TPM_CAP = { algorithms: 0, handles: 1, pcrs: 5, properties: 6, curves: 8 } as const;

/** Entries asked for at once; a TPM gives what fits. */
const AT_ONCE = 254;
/** Rounds of "there is more": more than any TPM has handles or properties. */
const MAX_ROUNDS = 64;

/** TPM_PT of the properties that are asked for here. */
export const TPM_PT = {
  manufacturer: 0x105,
  firmwareVersion1: 0x10b,
  nvBufferMax: 0x12c,
  transientMin: 0x10e,
  lockoutCounter: 0x20e,
  maxAuthFail: 0x20f,
} as const;

/** One round of TPM2_GetCapability; the reader stands behind the number of entries. */
const capability = async (tpm: Tpm, group: number, from: number, count: number) => {
  const { parameters } = await tpm.execute({
    name: 'GetCapability',
    parameters: Buffer.concat([u32(group), u32(from), u32(count)]),
  });
  const more = parameters.u8('moreData') !== 0;
  const answered = parameters.u32('capability');
  if (answered !== group) throw parameters.invalid(`capability ${answered} was answered, ${group} asked for`);
  return { more, parameters };
};

/** Asks until the TPM says that there is no more. `next` is the value to go on from after an entry. */
const all = async <T>(
  tpm: Tpm,
  group: number,
  from: number,
  read: (reader: TpmReader) => T,
  next: (entry: T) => number,
): Promise<readonly T[]> => {
  const entries: T[] = [];
  for (let round = 0, start = from; round < MAX_ROUNDS; round++) {
    const { more, parameters } = await capability(tpm, group, start, AT_ONCE);
    const count = parameters.u32('number of entries');
    // An entry has two bytes at least: a count beyond that fails at the first entry that is not there.
    if (count > parameters.left) throw parameters.invalid(`${count} entries were announced`);
    for (let i = 0; i < count; i++) entries.push(read(parameters));
    const last = entries.at(-1);
    if (!more || count === 0 || last === undefined) break;
    start = next(last);
  }
  return entries;
};

/** Handles of a kind that exist now, from HANDLE_RANGE on. */
export const capabilityHandles = (tpm: Tpm, from: number): Promise<readonly number[]> =>
  all(
    tpm,
    TPM_CAP.handles,
    from,
    (reader) => reader.u32('handle'),
    (handle) => handle + 1,
  );

/** One property; null if this TPM does not have it. */
export const capabilityProperty = async (tpm: Tpm, property: number): Promise<number | null> => {
  const { parameters } = await capability(tpm, TPM_CAP.properties, property, 1);
  if (parameters.u32('number of entries') === 0) return null;
  return parameters.u32('property') === property ? parameters.u32('value') : null;
};

/** The PCR banks that the TPM has, and which registers of each are in use. */
export const capabilityPcrBanks = async (tpm: Tpm): Promise<PcrSelection> => {
  const { parameters } = await capability(tpm, TPM_CAP.pcrs, 0, AT_ONCE);
  return readSelection(parameters);
};

/** Names of the algorithms that the TPM has. */
export const capabilityAlgorithms = (tpm: Tpm): Promise<readonly string[]> =>
  all(
    tpm,
    TPM_CAP.algorithms,
    0,
    (reader) => {
      const id = reader.u16('algorithm');
      reader.u32('attributes');
      return { id, name: algorithmName(id) };
    },
    ({ id }) => id + 1,
  ).then((found) => found.map(({ name }) => name));

/** Names of the curves that the TPM has and that are known here. */
export const capabilityCurves = (tpm: Tpm): Promise<readonly string[]> =>
  all(
    tpm,
    TPM_CAP.curves,
    0,
    (reader) => reader.u16('curve'),
    (id) => id + 1,
  ).then((found) => found.flatMap((id) => curveOf(id)?.name ?? []));
