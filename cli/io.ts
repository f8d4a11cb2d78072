import type { Command } from 'commander';

/** What a command may write to, and when it is to stop: the process's own, or a test's. */
export interface Io {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  readonly env: NodeJS.ProcessEnv;
  /** Aborts at SIGINT and SIGTERM with an `Interrupted`. */
  readonly stop: AbortSignal;
}

const ios = new WeakMap<Command, Io>();

const rootOf = (command: Command): Command => {
  let root = command;
  while (root.parent !== null) root = root.parent;
  return root;
};

export const setIo = (program: Command, io: Io): void => {
  ios.set(program, io);
};

export const ioOf = (command: Command): Io => {
  const io = ios.get(rootOf(command));
  if (io === undefined) throw new Error('the program was built without streams');
  return io;
};

export const stopOf = (command: Command): AbortSignal => ioOf(command).stop;
