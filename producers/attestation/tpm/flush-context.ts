import { u32 } from '../../../schemas/tpm/writer.js';
import type { Tpm } from './tpm.js';

/** TPM2_FlushContext of a transient object or session. */
export const flushContext = async (tpm: Tpm, handle: number): Promise<void> => {
  await tpm.execute({ name: 'FlushContext', parameters: u32(handle) });
};
