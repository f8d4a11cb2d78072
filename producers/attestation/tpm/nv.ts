import { algorithmId, algorithmName, MAX_DIGEST } from '../../../schemas/tpm/algorithms.js';
import { TpmReader } from '../../../schemas/tpm/reader.js';
import { TPM_RC } from '../../../schemas/tpm/response-code.js';
import { sized, u16, u32 } from '../../../schemas/tpm/writer.js';
import { capabilityProperty, TPM_PT } from './capability.js';
import { isTpmRefusal } from './command.js';
import { TPM_RH } from './handle.js';
import { type Authorisation, password } from './session.js';
import type { Tpm } from './tpm.js';

/** TPMA_NV bits (TPM 2.0 Library, part 2, 13.4). */
export const NV_ATTRIBUTES = {
  ppWrite: 0x1,
  ownerWrite: 0x2,
  authWrite: 0x4,
  ppRead: 0x10000,
  ownerRead: 0x20000,
  authRead: 0x40000,
  noDA: 0x2000000,
  written: 0x20000000,
} as const;

/** TPMS_NV_PUBLIC. */
export interface NvPublic {
  readonly index: number;
  readonly nameAlg: string;
  readonly attributes: number;
  readonly authPolicy: Buffer;
  readonly size: number;
}

/** Every TPM takes this much at once. */
const LEAST_BUFFER = 64;
const MOST_BUFFER = 2048;

/** The answer to TPM2_NV_ReadPublic. */
export const readNvPublic = (parameters: TpmReader): NvPublic => {
  const area = new TpmReader(parameters.sized('nvPublic'), 'TPMS_NV_PUBLIC');
  const index = area.u32('nvIndex');
  const nameAlg = algorithmName(area.u16('nameAlg'));
  const attributes = area.u32('attributes');
  const authPolicy = area.sized('authPolicy', MAX_DIGEST);
  const size = area.u16('dataSize');
  area.end();
  return { index, nameAlg, attributes, authPolicy, size };
};

/** TPM2_NV_ReadPublic; null if there is no such index. */
export const nvReadPublic = async (tpm: Tpm, index: number): Promise<NvPublic | null> => {
  try {
    return readNvPublic((await tpm.execute({ name: 'NV_ReadPublic', handles: [index] })).parameters);
  } catch (error) {
    if (isTpmRefusal(error, TPM_RC.HANDLE, TPM_RC.VALUE)) return null;
    throw error;
  }
};

/** Bytes that one NV command carries. */
const bufferSize = async (tpm: Tpm): Promise<number> =>
  Math.min(MOST_BUFFER, Math.max(LEAST_BUFFER, (await capabilityProperty(tpm, TPM_PT.nvBufferMax)) ?? LEAST_BUFFER));

/** Who reads an index: itself where its own (empty) authorisation allows it, else the owner. */
const readerOf = (
  { index, attributes }: NvPublic,
  owner: Authorisation,
): { handle: number; authorisation: Authorisation } =>
  (attributes & NV_ATTRIBUTES.authRead) !== 0
    ? { handle: index, authorisation: password() }
    : { handle: TPM_RH.OWNER, authorisation: owner };

/**
 * The content of an NV index, read in pieces; null if there is no such index or nothing was ever written to it. Throws
 * TPM_COMMAND_FAILED if neither the index's empty authorisation nor the owner's may read it.
 */
export const nvRead = async (tpm: Tpm, index: number, owner: Authorisation = password()): Promise<Buffer | null> => {
  const area = await nvReadPublic(tpm, index);
  if (area === null || (area.attributes & NV_ATTRIBUTES.written) === 0) return null;
  const { handle, authorisation } = readerOf(area, owner);
  const atOnce = await bufferSize(tpm);
  const parts: Buffer[] = [];
  for (let offset = 0; offset < area.size; ) {
    const size = Math.min(atOnce, area.size - offset);
    const { parameters } = await tpm.execute({
      name: 'NV_Read',
      handles: [handle, index],
      authorisations: [authorisation],
      parameters: Buffer.concat([u16(size), u16(offset)]),
    });
    const part = parameters.sized('data', size);
    if (part.length === 0) throw parameters.invalid('the TPM gave no bytes');
    parts.push(part);
    offset += part.length;
  }
  return Buffer.concat(parts);
};

/** TPM2_NV_DefineSpace by the owner: an ordinary index of so many bytes. */
export const nvDefineSpace = async (
  tpm: Tpm,
  { index, nameAlg, attributes, authPolicy, size }: NvPublic,
  owner: Authorisation = password(),
): Promise<void> => {
  const area = [u32(index), u16(algorithmId(nameAlg) ?? 0), u32(attributes), sized(authPolicy), u16(size)];
  await tpm.execute({
    name: 'NV_DefineSpace',
    handles: [TPM_RH.OWNER],
    authorisations: [owner],
    parameters: Buffer.concat([sized(), sized(...area)]),
  });
};

/** TPM2_NV_UndefineSpace by the owner. */
export const nvUndefineSpace = async (tpm: Tpm, index: number, owner: Authorisation = password()): Promise<void> => {
  await tpm.execute({ name: 'NV_UndefineSpace', handles: [TPM_RH.OWNER, index], authorisations: [owner] });
};

/** TPM2_NV_Write by the owner, from the start of the index, in pieces. */
export const nvWrite = async (
  tpm: Tpm,
  index: number,
  content: Buffer,
  owner: Authorisation = password(),
): Promise<void> => {
  const atOnce = await bufferSize(tpm);
  for (let offset = 0; offset < content.length; offset += atOnce) {
    await tpm.execute({
      name: 'NV_Write',
      handles: [TPM_RH.OWNER, index],
      authorisations: [owner],
      parameters: Buffer.concat([sized(content.subarray(offset, offset + atOnce)), u16(offset)]),
    });
  }
};
