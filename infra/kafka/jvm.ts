import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, closeSync, constants, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { AttestreamError } from '../../schemas/errors.js';

/** Folder for what is fetched once per user and version. */
export const cacheFolder = (...parts: string[]): string =>
  join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'attestream', ...parts);

/** True if `command` can be run from the PATH. */
export const onPath = (command: string): boolean =>
  (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });

/** A TCP port of the loopback that was free a moment ago. */
export const freePort = async (): Promise<number> => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
};

/** Runs a program to its end. Throws LOCAL_PART_FAILED with the end of what it printed. */
export const run = async (command: string, args: readonly string[], cwd: string): Promise<void> => {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  const keep = (chunk: Buffer): void => {
    printed = (printed + chunk.toString()).slice(-4000);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const code = await new Promise<number | string>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('close', (status, signal) => resolve(status ?? signal ?? 'unknown'));
  });
  if (code !== 0)
    throw new AttestreamError('LOCAL_PART_FAILED', `${command} ${args[0] ?? ''} ended with ${code}: ${printed.trim()}`);
};

/** A server in a JVM of its own. */
export interface Service {
  readonly pid: number;
  readonly running: boolean;
  /** Asks it to end, and ends it after `patience` ms. */
  stop(patience?: number): Promise<void>;
  /** What a power cut would do. */
  kill(): Promise<void>;
}

/**
 * Starts `java` with what it prints going to `logFile`. The kernel ends it when this process ends in whatever way
 * (setpriv --pdeathsig, where there is one), so that no server outlives a test run.
 */
export const startJava = (
  args: readonly string[],
  cwd: string,
  logFile: string,
  env: NodeJS.ProcessEnv = {},
): Service => {
  const [command, ...rest] = onPath('setpriv')
    ? ['setpriv', '--pdeathsig', 'KILL', 'java', ...args]
    : ['java', ...args];
  const out = openSync(logFile, 'a');
  const child: ChildProcess = spawn(command!, rest, {
    cwd,
    stdio: ['ignore', out, out],
    env: { ...process.env, ...env },
  });
  closeSync(out);
  const ended = new Promise<void>((resolve) => {
    child.on('error', () => resolve());
    child.on('exit', () => resolve());
  });
  const atExit = (): void => {
    child.kill('SIGKILL');
  };
  process.on('exit', atExit);
  void ended.then(() => process.off('exit', atExit));
  child.unref();
  const running = (): boolean => child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  return {
    pid: child.pid ?? -1,
    get running() {
      return running();
    },
    async stop(patience = 5000) {
      if (!running()) return;
      child.ref();
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), patience);
      await ended;
      clearTimeout(timer);
    },
    async kill() {
      if (!running()) return;
      child.ref();
      child.kill('SIGKILL');
      await ended;
    },
  };
};

/** Polls until `ready` answers true. Throws LOCAL_PART_FAILED with the end of the log if the service ends or time runs out. */
export const untilReady = async (
  what: string,
  service: Service,
  logFile: string,
  patience: number,
  ready: () => Promise<boolean>,
): Promise<void> => {
  const start = performance.now();
  for (;;) {
    if (await ready().catch(() => false)) return;
    const late = performance.now() - start > patience;
    if (!service.running || late) {
      await service.kill();
      const log = readFileSync(logFile, 'utf8').slice(-3000);
      throw new AttestreamError(
        'LOCAL_PART_FAILED',
        `${what} ${late ? `was not ready within ${patience} ms` : 'ended while it started'}: ${log.trim()}`,
        { path: logFile },
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
};
