import { AttestreamError } from '../schemas/errors.js';
import { duration } from './arguments.js';

/** `10m` (so long ago) or an RFC 3339 time → event time in µs. Throws USAGE. */
export const since = (text: string): number => {
  if (/^\d+(?:\.\d+)?[a-z]+$/.test(text)) return Date.now() * 1000 - duration('--since')(text);
  const ms = /^\d{4}-\d\d-\d\d(?:[Tt ].+)?$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms))
    throw new AttestreamError('USAGE', `--since takes 10m or 2026-01-31T12:00:00Z, not ${JSON.stringify(text)}`);
  return ms * 1000;
};
