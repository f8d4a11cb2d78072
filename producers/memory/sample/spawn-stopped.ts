import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { AttestreamError } from '../../../schemas/errors.js';
import { parseStat } from '../locate/proc-files.js';

/** A program that waits, stopped, right before its own first instruction: in a shell that will become it. */
export interface StoppedProgram {
  readonly pid: number;
  /** Lets the program begin. */
  resume(): void;
  /** Exit code; null if a signal ended it. */
  readonly exited: Promise<number | null>;
  /** Ends the program if it still runs. */
  kill(): void;
}

const START_DEADLINE_MS = 10_000;

const stopped = (pid: number): boolean => {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'))?.state === 'T';
  } catch {
    return false;
  }
};

/** Starts `command` stopped, in a session of its own. Throws PROCESS_START_FAILED. */
export const spawnStopped = async (
  command: string,
  args: readonly string[],
  options: { readonly stdio?: StdioOptions; readonly cwd?: string } = {},
): Promise<StoppedProgram> => {
  const child: ChildProcess = spawn('/bin/sh', ['-c', 'kill -STOP $$; exec "$@"', 'sh', command, ...args], {
    detached: true,
    stdio: options.stdio ?? 'ignore',
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  let failure: Error | undefined;
  const exited = new Promise<number | null>((resolve) => {
    child.once('error', (error) => {
      failure = error;
      resolve(null);
    });
    child.once('exit', (code) => resolve(code));
  });
  const until = performance.now() + START_DEADLINE_MS;
  while (child.pid === undefined || !stopped(child.pid)) {
    if (failure !== undefined || child.exitCode !== null || performance.now() > until)
      throw new AttestreamError('PROCESS_START_FAILED', `${command} could not be started`, {}, { cause: failure });
    await delay(1);
  }
  return {
    pid: child.pid,
    resume: () => void child.kill('SIGCONT'),
    exited,
    kill: () => void child.kill('SIGKILL'),
  };
};
