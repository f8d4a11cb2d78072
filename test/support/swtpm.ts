import { execFileSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll } from '@jest/globals';
import { type LocalSwtpm, startSwtpm } from '../../producers/attestation/emulator/local-swtpm.js';
import {
  type EmulatedTpmFiles,
  type ManufactureOptions,
  manufactureTpm,
} from '../../producers/attestation/emulator/manufacture.js';
import { capabilityHandles } from '../../producers/attestation/tpm/capability.js';
import { HANDLE_RANGE } from '../../producers/attestation/tpm/handle.js';
import { type Tpm, tpmOver } from '../../producers/attestation/tpm/tpm.js';
import { openTransport } from '../../producers/attestation/transport/open-transport.js';
import { realPart } from './real-part.js';

const missing = (): string | null => {
  for (const program of ['swtpm', 'swtpm_setup', 'tpm2_quote'])
    try {
      execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore' });
    } catch {
      return `${program} is not installed`;
    }
  return null;
};

/** `describe` for tests against an emulated TPM, with tpm2-tools beside it. */
export const withSwtpm = realPart('swtpm', missing);

/** An emulated TPM of a test file's own. */
export interface TestTpm extends EmulatedTpmFiles {
  readonly address: string;
  /** Folder of state and maker. */
  readonly folder: string;
  /** A fresh connection of ours; closed when the file's tests end. */
  open(): Promise<Tpm>;
  powerCycle(how: 'clean' | 'power-loss'): Promise<void>;
  /** As pulling the plug of the machine: SIGKILL, and started again over what was written. */
  crash(): Promise<void>;
  /** Keeps the TPM's memory as it is now. */
  save(name: string): Promise<void>;
  /** Puts an older memory back, as somebody with a copy of a virtual TPM can. */
  rollBack(name: string): Promise<void>;
  /** Another TPM with the same memory: the same EK, the same seeds. */
  clone(): Promise<TestTpm>;
  /** Runs one of tpm2-tools in `folder` on this TPM; gives what it wrote to its output. */
  tool(program: string, ...args: readonly string[]): string;
}

const stops: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const stop of stops.splice(0)) await stop();
});

const over = async (folder: string, files: EmulatedTpmFiles): Promise<TestTpm> => {
  let swtpm: LocalSwtpm = await startSwtpm(files.state);
  const opened: Tpm[] = [];
  stops.push(async () => {
    for (const tpm of opened) await tpm.close();
    await swtpm.stop();
  });
  const restart = async (between: () => void): Promise<void> => {
    await swtpm.stop();
    between();
    swtpm = await startSwtpm(files.state);
  };
  const copyOf = (name: string): string => join(folder, `saved-${name}`);
  return {
    ...files,
    folder,
    get address() {
      return swtpm.address;
    },
    open: async () => {
      const tpm = tpmOver(await openTransport(swtpm.address, { timeoutMs: 30_000 }));
      opened.push(tpm);
      return tpm;
    },
    powerCycle: (how) => swtpm.powerCycle(how),
    crash: () => restart(() => undefined),
    save: async (name) => {
      cpSync(files.state, copyOf(name), { recursive: true });
    },
    rollBack: (name) =>
      restart(() => {
        rmSync(files.state, { recursive: true });
        cpSync(copyOf(name), files.state, { recursive: true });
      }),
    clone: async () => {
      const other = `${folder}-clone-${stops.length}`;
      stops.push(async () => rmSync(other, { recursive: true, force: true }));
      cpSync(folder, other, { recursive: true });
      return over(other, { ...files, state: join(other, 'state') });
    },
    tool: (program, ...args) => {
      const [, host, port] = swtpm.address.split(':');
      const TPM2TOOLS_TCTI = `swtpm:host=${host},port=${port}`;
      const env = { ...process.env, TPM2TOOLS_TCTI };
      return execFileSync(program, args, { cwd: folder, env, encoding: 'latin1', stdio: ['ignore', 'pipe', 'pipe'] });
    },
  };
};

/**
 * A new TPM with endorsement certificates, running; call it before the tests or in them. `folder` is one of
 * `temporaryFolder`. Ended when the file's tests end.
 */
export const testTpm = async (folder: string, name = 'tpm', options?: ManufactureOptions): Promise<TestTpm> => {
  const home = join(folder, name);
  return over(home, await manufactureTpm(home, options));
};

/** Transient objects and loaded sessions: what a program that cleans up leaves none of. */
export const looseHandles = async (tpm: Tpm): Promise<readonly number[]> => [
  ...(await capabilityHandles(tpm, HANDLE_RANGE.transient)),
  ...(await capabilityHandles(tpm, HANDLE_RANGE.loadedSession)),
];
