#!/usr/bin/env node
import { setFlagsFromString } from 'node:v8';
import { commandName } from './command-name.js';
import { describeFailure } from './describe-failure.js';
import { EXIT, exitCodeOf } from './exit.js';

/** Commands that run beside a gateway's own programs for as long as it does. */
const LASTING = new Set(['agent', 'record']);

// Left alone, V8 lets garbage grow to several times of what lives: a gateway's memory is better spent. These bound the growth,
// not the heap, so that a state which is really large still fits. Worker threads inherit them.
setFlagsFromString('--heap-growing-percent=40');
if (LASTING.has(commandName(process.argv.slice(2)))) {
  // Of what they make, little lives. The first is for threads that are started from here on, the second for this one.
  setFlagsFromString('--max-semi-space-size=1');
  const stay = (): void => setFlagsFromString('--semi-space-growth-factor=1');
  stay();
  // The heap of each new thread sets it back for all.
  process.on('worker', (worker) => worker.once('online', stay));
} else setFlagsFromString('--max-semi-space-size=8');

const fail = (error: unknown): never => {
  process.stderr.write(`${describeFailure(error)}\n`);
  process.exit(exitCodeOf(error));
};

// Node's own code for a crash is 1, which means a finding here.
process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);

// A reader that has seen enough (`| head`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
  fail(error);
});

try {
  const { runCli } = await import('./run.js');
  process.exitCode = await runCli(process.argv.slice(2));
} catch (error) {
  fail(error);
}
// What still waits for its world (a read from a pipe, a socket) has nobody to wait for it.
if (process.exitCode === EXIT.interrupted) process.exit();
