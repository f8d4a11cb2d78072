import { TPM_RC } from '../../../schemas/tpm/response-code.js';
import { u16 } from '../../../schemas/tpm/writer.js';
import { isTpmRefusal } from './command.js';
import type { Tpm } from './tpm.js';

const TPM_SU = { clear: 0, state: 1 } as const;
export type StartupType = keyof typeof TPM_SU;

/** TPM2_Startup. Firmware does this on real machines; one that is running already is left as it is. */
export const startup = async (tpm: Tpm, type: StartupType = 'clear'): Promise<void> => {
  try {
    await tpm.execute({ name: 'Startup', parameters: u16(TPM_SU[type]) });
  } catch (error) {
    if (!isTpmRefusal(error, TPM_RC.INITIALIZE)) throw error;
  }
};

/** TPM2_Shutdown: what an operating system says before the power goes. */
export const shutdown = async (tpm: Tpm, type: StartupType = 'clear'): Promise<void> => {
  await tpm.execute({ name: 'Shutdown', parameters: u16(TPM_SU[type]) });
};
