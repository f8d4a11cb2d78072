import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from '@jest/globals';

const source = fileURLToPath(new URL('../../examples/device/device.c', import.meta.url));

/** Why tests that need a compiler are left out; '' if they need not be. */
export const noCompiler = ((): string => {
  try {
    execFileSync('gcc', ['--version'], { stdio: 'ignore' });
    return process.arch === 'x64' ? '' : `live looks need x86-64, not ${process.arch}`;
  } catch {
    return 'gcc is not installed';
  }
})();

/** Compiles a C file; gives the program's path. */
export const compile = (
  from: string,
  folder: string,
  name: string,
  flags: readonly string[] = ['-O0', '-g'],
): string => {
  const program = join(folder, name);
  execFileSync('gcc', [...flags, '-fno-omit-frame-pointer', '-o', program, from, '-lpthread'], { stdio: 'inherit' });
  return program;
};

/** The example device as its users build it. */
export const buildDevice = (folder: string, flags?: readonly string[], name = 'device'): string =>
  compile(source, folder, name, flags);

const started: ChildProcess[] = [];
afterAll(() => {
  for (const child of started) child.kill('SIGKILL');
});

export interface Running {
  readonly pid: number;
  readonly exited: Promise<number | null>;
}

/** Starts a program in a session of its own (Node must not reap its stops); it is killed when the test file ends. */
export const start = (program: string, args: readonly string[] = [], options: { uid?: number } = {}): Running => {
  const child = spawn(program, args, { detached: true, stdio: 'ignore', ...options });
  if (child.pid === undefined) throw new Error(`${program} did not start`);
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  started.push(child);
  return { pid: child.pid, exited };
};

export interface Call {
  /** CLOCK_BOOTTIME, µs. */
  readonly began: number;
  readonly ended: number;
  readonly function: string;
  readonly value: number;
}

/** What the device itself says it did (`--log FILE`). */
export const readCalls = (file: string): { calls: Call[]; interrupted: number } => {
  const lines = readFileSync(file, 'latin1').trim().split('\n');
  const calls = lines
    .filter((line) => line !== 'interrupted')
    .map((line) => {
      const [began, ended, name, value] = line.split(' ');
      return { began: Number(began), ended: Number(ended), function: name!, value: Number(value) };
    });
  return { calls, interrupted: lines.length - calls.length };
};

/** Blocks for some milliseconds. */
export const pause = (ms: number): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
};
