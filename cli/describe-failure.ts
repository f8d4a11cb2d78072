import { CommanderError } from 'commander';
import { AttestreamError, ERRORS, type ErrorCode } from '../schemas/errors.js';
import { Findings, Interrupted, isSystemError } from './exit.js';
import { printable } from './printable.js';

const place = (error: AttestreamError): string => {
  const { path, offset } = error.place;
  if (path === undefined) return offset === undefined ? '' : ` (at ${offset})`;
  return ` (${path}${offset === undefined ? '' : ` at ${offset}`})`;
};

const line = (code: ErrorCode, message: string, where = ''): string =>
  `attestream: ${code}: ${printable(message)}${printable(where)}`;

/** What stderr says of a failure: one line of what happened to what, and one of what the code means. Empty: nothing. */
export const describeFailure = (error: unknown): string => {
  if (error instanceof Findings) return printable(error.message);
  if (error instanceof Interrupted) return `attestream: ${error.message}`;
  if (error instanceof CommanderError) {
    if (error.exitCode === 0 || error.code === 'commander.help') return '';
    const hint = /unknown option '-o'/.test(error.message) ? '; did you mean "--output"?' : '';
    return line('USAGE', `${error.message.replace(/^error: /, '').replace(/\n/g, ' ')}${hint}`);
  }
  if (error instanceof AttestreamError) {
    const text = line(error.code, error.message, place(error));
    if (error.code === 'INTERNAL') return `${text}\n${error.stack ?? ''}`;
    return error.code === 'USAGE' ? text : `${text}\n  ${ERRORS[error.code]}`;
  }
  if (isSystemError(error)) return `${line('SYSTEM', error.message)}\n  ${ERRORS.SYSTEM}`;
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `${line('INTERNAL', error instanceof Error ? error.message : String(error))}\n  ${ERRORS.INTERNAL}\n${stack}`;
};
