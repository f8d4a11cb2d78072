import { AttestreamError } from '../../schemas/errors.js';

/**
 * What a failed request means for the one who sent it.
 * - `unreachable`: no answer; nothing is known of the request's fate
 * - `busy`: the server is short of something for now
 * - `data`: the rows themselves were refused, and will be again
 * - `refused`: login, rights or statement; a person must act
 */
export type Failure = 'unreachable' | 'busy' | 'data' | 'refused';

/** Codes of ClickHouse that mend themselves: limits, memory, parts, disk, locks, read-only, shutdown, Keeper. */
const BUSY = new Set(
  '159 160 201 202 203 209 210 225 236 241 242 243 252 285 286 319 394 425 439 473 692 999 1000 1001'.split(' '),
);

/** Codes that name the content of the rows: parse errors, ranges, lengths, constraints. */
const DATA = new Set('6 26 27 32 33 36 38 41 53 69 70 72 117 128 131 190 321 349 407 469 691'.split(' '));

const codeOf = (error: unknown): string | null => {
  const code = typeof error === 'object' && error !== null ? (error as { code?: unknown }).code : undefined;
  return typeof code === 'string' && /^\d+$/.test(code) ? code : null;
};

/** Judges an error thrown by the client or by a store. One that carries no code of ClickHouse is of the connection. */
export const failureOf = (error: unknown): Failure => {
  if (error instanceof AttestreamError) {
    if (error.code === 'CLICKHOUSE_UNREACHABLE' || error.code === 'CLICKHOUSE_REFUSED') return failureOf(error.cause);
    if (error.code === 'EMBEDDED_DISK_LOW') return 'busy';
    return error.code === 'EMBEDDED_BUSY' || error.code === 'EMBEDDED_FAILED' ? 'unreachable' : 'refused';
  }
  const code = codeOf(error);
  if (code === null) return 'unreachable';
  if (BUSY.has(code)) return 'busy';
  return DATA.has(code) ? 'data' : 'refused';
};

const MAX_MESSAGE = 500;

/** The same failure as one of ours, with what the server said. */
export const asAttestreamError = (error: unknown, where: string): AttestreamError => {
  if (error instanceof AttestreamError) return error;
  const said = (
    error instanceof Error ? error.message || String((error as { code?: unknown }).code) : String(error)
  ).slice(0, MAX_MESSAGE);
  const code = failureOf(error) === 'unreachable' ? 'CLICKHOUSE_UNREACHABLE' : 'CLICKHOUSE_REFUSED';
  return new AttestreamError(code, `ClickHouse at ${where}: ${said}`, {}, { cause: error });
};
