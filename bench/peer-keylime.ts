import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { peerFolder } from './peer-folder.js';

const run = promisify(execFile);

/** Versions that were measured; the wheel names none of the others itself. */
const PACKAGES = ['keylime==7.14.3', 'jsonschema', 'pyyaml', 'cryptography', 'lark', 'packaging'];

/** A Python that has Keylime. */
export interface KeylimePeer {
  readonly python: string;
  /** Our programs that run in it. */
  readonly source: string;
  readonly cache: string;
  readonly env: NodeJS.ProcessEnv;
}

const folder = peerFolder('keylime');

/** Whether it was fetched already. */
export const keylimeIsHere = (): boolean => folder !== null && existsSync(join(folder.cache, 'venv/installed'));

/** Keylime in a folder of its own: fetched from PyPI at the first time. Says what is missing where it cannot. */
export const keylimePeer = (): KeylimePeer | { readonly missing: string } => {
  if (folder === null) return { missing: 'bench/peers/keylime is not part of this installation' };
  const { source, cache } = folder;
  const python = join(cache, 'venv/bin/python');
  try {
    mkdirSync(cache, { recursive: true });
    if (!keylimeIsHere()) {
      const stdio = 'pipe';
      execFileSync('python3', ['-m', 'venv', join(cache, 'venv')], { timeout: 120_000, stdio });
      execFileSync(python, ['-m', 'pip', 'install', '-q', '--disable-pip-version-check', ...PACKAGES], {
        timeout: 300_000,
        stdio,
      });
      writeFileSync(join(cache, 'venv/installed'), '');
    }
  } catch (error) {
    const { code, message, stderr } = error as NodeJS.ErrnoException & { stderr?: Buffer };
    if (code === 'ENOENT') return { missing: `no Python here (${message})` };
    const said = stderr === undefined || stderr.length === 0 ? message : stderr.toString();
    return { missing: `Keylime could not be installed: ${said.trim().split('\n').at(-1)}` };
  }
  return { python, source, cache, env: { ...process.env, PYTHONPATH: join(source, 'stubs') } };
};

export type KeylimeReplay =
  | { readonly missing: string }
  /** Entries a second of the processor, and the PCR that it came to, in hex. */
  | { readonly rate: number; readonly value: string };

/** Lets Keylime replay a list in text. Says what is missing where it cannot. */
export const replayWithKeylime = async (list: string, hash: 'sha1' | 'sha256'): Promise<KeylimeReplay> => {
  const peer = keylimePeer();
  if ('missing' in peer) return peer;
  const { python, source, cache, env } = peer;
  const file = join(cache, 'list.txt');
  writeFileSync(file, list);
  try {
    const { stdout } = await run(python, [join(source, 'replay.py'), file, hash, '3'], { timeout: 300_000, env });
    const runs = stdout
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as { entries: number; cpu: number; value: string });
    const first = runs[0];
    if (first === undefined) return { missing: 'it printed no figure' };
    return { rate: Math.max(...runs.map(({ entries, cpu }) => entries / cpu)), value: first.value };
  } catch (error) {
    const { message, stderr } = error as Error & { stderr?: string };
    return { missing: `its replay failed: ${(stderr || message).trim().split('\n').at(-1)}` };
  }
};
