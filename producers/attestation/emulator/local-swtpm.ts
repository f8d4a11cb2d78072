import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { AttestreamError } from '../../../schemas/errors.js';
import { shutdown, startup } from '../tpm/power.js';
import { tpmOver } from '../tpm/tpm.js';
import { openTransport } from '../transport/open-transport.js';
import { swtpmPowerCycle } from '../transport/swtpm-control.js';

/** An emulator that runs on this machine, with the TPM started. */
export interface LocalSwtpm {
  /** `swtpm:127.0.0.1:PORT`; the control channel is at the port above, as the TPM software stack expects it. */
  readonly address: string;
  readonly port: number;
  /** Off and on: `clean` with TPM2_Shutdown before it, else as a power loss. */
  powerCycle(how: 'clean' | 'power-loss'): Promise<void>;
  /** Ends the emulator at once. */
  stop(): Promise<void>;
}

const HOST = '127.0.0.1';
const ATTEMPTS = 10;
const READY_TIMEOUT_MS = 10_000;

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, HOST, () => server.close(() => resolve(true)));
  });

/** Two free ports in a row. Another program may take them before they are used: then the emulator ends, and others are tried. */
const freePair = async (): Promise<number> => {
  for (let i = 0; i < 200; i++) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if ((await isFree(port)) && (await isFree(port + 1))) return port;
  }
  throw new AttestreamError('LOCAL_PART_FAILED', 'no two free ports in a row were found for the TPM emulator');
};

const launch = (state: string, port: number): { child: ChildProcess; ended: Promise<string> } => {
  const child = spawn(
    'swtpm',
    [
      ...['socket', '--tpm2', '--tpmstate', `dir=${state}`, '--flags', 'not-need-init'],
      ...['--server', `type=tcp,port=${port},bindaddr=${HOST}`],
      ...['--ctrl', `type=tcp,port=${port + 1},bindaddr=${HOST}`],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let log = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    log = (log + chunk.toString('latin1')).slice(-2000);
  });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code) => resolve(`exit ${code}: ${log.trim()}`));
  });
  return { child, ended };
};

const withTpm = async (address: string, work: typeof startup): Promise<void> => {
  const tpm = tpmOver(await openTransport(address));
  try {
    await work(tpm);
  } finally {
    await tpm.close();
  }
};

/** Sends TPM2_Startup as soon as the emulator listens. */
const ready = async (address: string): Promise<void> => {
  for (let waited = 0; ; waited += 20) {
    try {
      return await withTpm(address, startup);
    } catch (error) {
      if (waited >= READY_TIMEOUT_MS) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
};

/** Long enough for an emulator whose port was taken to end: what answered was then somebody else's. */
const settled = (): Promise<null> => new Promise((resolve) => setTimeout(() => resolve(null), 25));

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts swtpm over the state of `manufactureTpm`. Throws LOCAL_PART_FAILED. */
export const startSwtpm = async (state: string): Promise<LocalSwtpm> => {
  let why = '';
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = await freePair();
    const address = `swtpm:${HOST}:${port}`;
    const { child, ended } = launch(state, port);
    running.add(child);
    void ended.then(() => running.delete(child));
    const early = await Promise.race([ended, ready(address).then(() => Promise.race([ended, settled()]))]);
    if (early !== null) {
      why = early;
      continue;
    }
    const powerCycle = async (how: 'clean' | 'power-loss'): Promise<void> => {
      if (how === 'clean') await withTpm(address, shutdown);
      await swtpmPowerCycle({ host: HOST, port: port + 1 });
      await withTpm(address, startup);
    };
    const stop = async (): Promise<void> => {
      child.kill('SIGKILL');
      await ended;
    };
    return { address, port, powerCycle, stop };
  }
  throw new AttestreamError('LOCAL_PART_FAILED', `swtpm did not start: ${why}`);
};
