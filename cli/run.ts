import { setMaxListeners } from 'node:events';
import { describeFailure } from './describe-failure.js';
import { EXIT, exitCodeOf, Findings, Interrupted } from './exit.js';
import type { Io } from './io.js';
import { buildProgram } from './program.js';

/** Runs one command line against given streams. Returns the exit code; never throws. */
export const runWith = async (argv: readonly string[], io: Io): Promise<number> => {
  try {
    const program = await buildProgram(io, argv);
    await program.parseAsync([...argv], { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    // A command that was told to stop may have met the stop in any shape: the reason counts, not the shape.
    const failure = io.stop.aborted && !(error instanceof Findings) ? io.stop.reason : error;
    const text = describeFailure(failure, argv);
    if (text !== '') io.stderr.write(`${text}\n`);
    return exitCodeOf(failure);
  }
};

/** Runs one command line as this process: its streams, its environment, its signals. */
export const runCli = async (argv: readonly string[]): Promise<number> => {
  // Every partition and every part of the pipeline listens for the stop: dozens of listeners are no leak.
  setMaxListeners(1_000);
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      // Asked twice: somebody is in a hurry.
      if (stop.signal.aborted) process.exit(EXIT.interrupted);
      stop.abort(new Interrupted(signal));
    });
  return runWith(argv, { stdout: process.stdout, stderr: process.stderr, env: process.env, stop: stop.signal });
};
