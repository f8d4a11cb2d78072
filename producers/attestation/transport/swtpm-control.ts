import type { NetConnectOpts } from 'node:net';
import { AttestreamError } from '../../../schemas/errors.js';
import { responseCodeName } from '../../../schemas/tpm/response-code.js';
import { u8, u32 } from '../../../schemas/tpm/writer.js';
import { connected, exchange } from './socket-transport.js';
import { unreachable } from './unreachable.js';

/** Commands of swtpm's control channel (its man page swtpm_ioctls), which stands for the platform around the TPM. */
const CMD_INIT = 2;
const CMD_SHUTDOWN = 3;
const CMD_SET_LOCALITY = 5;

const INIT_DELETE_VOLATILE = 1;
const CONTROL_TIMEOUT_MS = 30_000;

const control = async (to: NetConnectOpts, name: string, code: number, ...parts: Buffer[]): Promise<void> => {
  const address = 'path' in to ? `unix:${to.path}` : `${'host' in to ? to.host : 'localhost'}:${to.port}`;
  let answer: Buffer;
  try {
    const socket = await connected(to);
    try {
      answer = await exchange(socket, Buffer.concat([u32(code), ...parts]), CONTROL_TIMEOUT_MS, () => 4);
    } finally {
      socket.destroy();
    }
  } catch (why) {
    throw unreachable(address, why);
  }
  const result = answer.readUInt32BE(0);
  if (result === 0) return;
  const { name: rc, meaning } = responseCodeName(result);
  throw new AttestreamError('TPM_COMMAND_FAILED', `swtpm's ${name}: ${rc}: ${meaning}`, { path: address });
};

/**
 * Power: switches the emulated TPM off and on. Without TPM2_Shutdown before, that is a power loss. It has to be told
 * TPM2_Startup afterwards.
 */
export const swtpmPowerCycle = (to: NetConnectOpts): Promise<void> =>
  control(to, 'INIT', CMD_INIT, u32(INIT_DELETE_VOLATILE));

/** Ends the emulator. */
export const swtpmShutdown = (to: NetConnectOpts): Promise<void> => control(to, 'SHUTDOWN', CMD_SHUTDOWN);

/** The locality of the commands that follow (0 to 4). */
export const swtpmLocality = (to: NetConnectOpts, locality: number): Promise<void> =>
  control(to, 'SET_LOCALITY', CMD_SET_LOCALITY, u8(locality));
