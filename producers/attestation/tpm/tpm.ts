import { TPM_RC } from '../../../schemas/tpm/response-code.js';
import type { TpmTransport } from '../transport/transport.js';
import { isTpmRefusal, marshalCommand, parseAnswer, type TpmAnswer, type TpmCommand } from './command.js';

export interface TpmOptions {
  /** How long in all a command is sent again while the TPM says "not now". Milliseconds. */
  readonly patienceMs?: number;
  readonly sleep?: (ms: number) => Promise<void>;
}

const DEFAULT_PATIENCE_MS = 20_000;
const FIRST_PAUSE_MS = 2;
const LONGEST_PAUSE_MS = 500;

/**
 * Answers after which the same command may be sent again. Not the lockout: waiting for its end would take hours, and
 * each further attempt may lengthen it.
 */
const PASSING: readonly number[] = [TPM_RC.RETRY, TPM_RC.YIELDED, TPM_RC.TESTING, TPM_RC.NV_RATE];

/** Runs commands on one TPM, one at a time. */
export interface Tpm {
  readonly address: string;
  execute(command: TpmCommand): Promise<TpmAnswer>;
  close(): Promise<void>;
}

/** A TPM behind a transport. Closing it closes the transport. */
export const tpmOver = (transport: TpmTransport, options: TpmOptions = {}): Tpm => {
  const { patienceMs = DEFAULT_PATIENCE_MS } = options;
  const sleep = options.sleep ?? ((ms) => new Promise<void>((resolve) => setTimeout(resolve, ms)));
  return {
    address: transport.address,
    execute: async (command) => {
      const bytes = marshalCommand(command);
      let waited = 0;
      for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
        try {
          return parseAnswer(command, await transport.transmit(bytes));
        } catch (error) {
          if (!isTpmRefusal(error, ...PASSING) || waited >= patienceMs) throw error;
          await sleep(pause);
          waited += pause;
        }
      }
    },
    close: () => transport.close(),
  };
};
