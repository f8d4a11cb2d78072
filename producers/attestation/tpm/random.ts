import { u16 } from '../../../schemas/tpm/writer.js';
import type { Tpm } from './tpm.js';

/** At most the largest digest is given at once; asking for less needs no knowledge of the TPM. */
const AT_ONCE = 32;

/** TPM2_GetRandom as often as it takes. */
export const getRandom = async (tpm: Tpm, size: number): Promise<Buffer> => {
  const parts: Buffer[] = [];
  for (let left = size; left > 0; ) {
    const { parameters } = await tpm.execute({ name: 'GetRandom', parameters: u16(Math.min(left, AT_ONCE)) });
    const bytes = parameters.sized('randomBytes', Math.min(left, AT_ONCE));
    if (bytes.length === 0) throw parameters.invalid('the TPM gave no random bytes');
    parts.push(bytes);
    left -= bytes.length;
  }
  return Buffer.concat(parts);
};
