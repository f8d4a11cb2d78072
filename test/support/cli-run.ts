import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { CLI } from './dist.js';

/** The command as it is built, or another build of it that ATTESTREAM_TEST_CLI names. */
const command = process.env['ATTESTREAM_TEST_CLI'] ?? CLI;

export interface CommandRan {
  /** null where a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** kB of memory that it held at most, by its own /proc entry, looked at every 20 ms; 0 where there is none. */
  readonly peak: number;
}

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Called once it runs. */
  readonly onStart?: (child: ChildProcess) => void;
  readonly memory?: boolean;
}

/** One run of the built command, as a process of its own. */
export const runCommand = async (argv: readonly string[], options: CommandOptions = {}): Promise<CommandRan> => {
  const child = spawn(process.execPath, [command, ...argv], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  let peak = 0;
  const look = (): void => {
    peak = Math.max(peak, peakOf(child.pid!));
  };
  const timer = options.memory === true ? setInterval(look, 20) : undefined;
  options.onStart?.(child);
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  clearInterval(timer);
  return {
    code,
    signal,
    stdout: Buffer.concat(stdout).toString('utf8'),
    stderr: Buffer.concat(stderr).toString('utf8'),
    peak,
  };
};

/** kB that a process has held at most so far. */
const peakOf = (pid: number): number => {
  try {
    return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0);
  } catch {
    return 0; // it has just ended
  }
};

/** A run that must end with 0 (or `code`): its stdout and stderr. */
export const succeed = async (
  argv: readonly string[],
  codes: readonly number[] = [0],
  options: CommandOptions = {},
): Promise<CommandRan> => {
  const ran = await runCommand(argv, options);
  if (ran.code === null || !codes.includes(ran.code))
    throw new Error(`attestream ${argv.join(' ')} ended with ${ran.code ?? ran.signal}: ${ran.stderr}`);
  return ran;
};

/** The two digests that a replay tells on stderr. */
export const digestsOf = ({ stderr }: CommandRan): { readonly digest: string; readonly conclusions: string } => ({
  digest: /^digest (sha256:[0-9a-f]{64})$/m.exec(stderr)?.[1] ?? `none in ${stderr}`,
  conclusions: /^conclusions (sha256:[0-9a-f]{64})$/m.exec(stderr)?.[1] ?? `none in ${stderr}`,
});
