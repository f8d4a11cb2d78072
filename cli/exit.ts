import { CommanderError } from 'commander';
import { AttestreamError, type ErrorCode } from '../schemas/errors.js';

/** Exit codes as `docs/commands.md` promises them. 1 is a finding, never a crash. */
export const EXIT = { ok: 0, findings: 1, usage: 2, infrastructure: 3, interrupted: 130 } as const;

/** The user or the service manager asked to end. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  constructor(readonly signal: string) {
    super(`interrupted by ${signal}`);
  }
}

/** Ended as asked: by a signal, in whatever shape that arrived. */
export const isInterrupt = (error: unknown): boolean =>
  error instanceof Interrupted || (error instanceof Error && error.name === 'AbortError');

/**
 * A command that came to its end and found something: exit code 1. Everything was printed already.
 * Thrown, so that no command forgets to leave its own clean-up to `finally`.
 */
export class Findings extends Error {
  override readonly name = 'Findings';
}

/** Codes that speak of the world around us rather than of what the user wrote. */
const INFRASTRUCTURE =
  /^(?:KAFKA|REGISTRY|CLICKHOUSE|EMBEDDED|MIGRATION|SINK|ROW|LEASE|LOCAL|ENGINE|PROCESS|TOPIC|SYSTEM|INTERNAL|LOG_LOCKED|LOG_CLOSED|TRACE_CORRUPT|TRACE_TORN|SNAPSHOT)/;

const codeOf = (code: ErrorCode): number => (INFRASTRUCTURE.test(code) ? EXIT.infrastructure : EXIT.usage);

/** A failure of the operating system, as Node reports it: `ENOSPC`, `EACCES`, `ECONNREFUSED`, … */
export const isSystemError = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && typeof (error as NodeJS.ErrnoException).code === 'string' && 'syscall' in error;

export const exitCodeOf = (error: unknown): number => {
  if (error instanceof Findings) return EXIT.findings;
  if (error instanceof Interrupted) return EXIT.interrupted;
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof AttestreamError) return codeOf(error.code);
  return EXIT.infrastructure;
};
