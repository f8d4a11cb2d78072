import { CommanderError } from 'commander';
import { AttestreamError, ERRORS, type ErrorCode } from '../schemas/errors.js';
import { Findings, Interrupted, isSystemError } from './exit.js';
import { OUTPUT_FORMATS } from './output.js';
import { printable } from './printable.js';

const place = (error: AttestreamError): string => {
  const { path, offset } = error.place;
  if (path === undefined) return offset === undefined ? '' : ` (at ${offset})`;
  return ` (${path}${offset === undefined ? '' : ` at ${offset}`})`;
};

/** Lines after the first are indented, so that nothing in a message can pass for a message of its own. */
const text = (message: string): string =>
  message
    .split('\n')
    .map(printable)
    .join('\n')
    .replace(/\n *(?=\S)/g, '\n  ');

const line = (code: ErrorCode, message: string, where = ''): string =>
  `attestream: ${code}: ${text(message)}${printable(where)}`;

/** `-o json` and `--out json` where there is no such option: the format was meant. */
const formatMeant = (message: string, argv: readonly string[]): string | null => {
  const option = /unknown option '(-o|--out)'/.exec(message)?.[1];
  if (option === undefined) return null;
  const given = argv[argv.indexOf(option) + 1];
  const format = OUTPUT_FORMATS.find((known) => known === given) ?? 'FORMAT';
  return `unknown option '${option}'; did you mean "--output ${format}"?`;
};

/** A database that nobody has prepared yet, in ClickHouse's words. */
const UNPREPARED = /\b(?:Database|Table) \S+ does(?: not|n't) exist|UNKNOWN_(?:DATABASE|TABLE)|Unknown table/i;

/**
 * What stderr says of a failure: what happened to what, and a line of what the code means. Empty: nothing.
 * @param argv the command line, for a better guess at what was meant
 */
export const describeFailure = (error: unknown, argv: readonly string[] = []): string => {
  if (error instanceof Findings) return printable(error.message);
  if (error instanceof Interrupted) return `attestream: ${error.message}`;
  if (error instanceof CommanderError) {
    if (error.exitCode === 0 || error.code === 'commander.help') return '';
    const message = error.message.replace(/^error: /, '').replace(/\n/g, ' ');
    return line('USAGE', formatMeant(message, argv) ?? message);
  }
  if (error instanceof AttestreamError) {
    const first = line(error.code, error.message, place(error));
    if (error.code === 'INTERNAL') return `${first}\n${error.stack ?? ''}`;
    if (error.code === 'CLICKHOUSE_REFUSED' && UNPREPARED.test(error.message))
      return `${first}\n  Nothing was stored there yet: \`attestream db migrate\` makes the tables, \`attestream process\` fills them.`;
    return error.code === 'USAGE' ? first : `${first}\n  ${ERRORS[error.code]}`;
  }
  if (isSystemError(error)) return `${line('SYSTEM', error.message)}\n  ${ERRORS.SYSTEM}`;
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `${line('INTERNAL', error instanceof Error ? error.message : String(error))}\n  ${ERRORS.INTERNAL}\n${stack}`;
};
