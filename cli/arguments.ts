import { AttestreamError } from '../schemas/errors.js';

/** A whole number of at least `least` for the option `name`. Throws USAGE. */
export const wholeNumber =
  (name: string, least: number, most = Number.MAX_SAFE_INTEGER) =>
  (text: string): number => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isSafeInteger(value) && value >= least && value <= most) return value;
    throw new AttestreamError(
      'USAGE',
      `${name} must be a whole number from ${least} to ${most}, not ${JSON.stringify(text)}`,
    );
  };

/** For repeatable options: gathers the values in their order. */
export const gather = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

const UNITS: Readonly<Record<string, number>> = { us: 1, ms: 1e3, s: 1e6, m: 60e6, min: 60e6, h: 3600e6, d: 86_400e6 };

/** `250ms`, `10s`, `5m`, `1h`, `2d` → microseconds. Throws USAGE. */
export const duration =
  (name: string) =>
  (text: string): number => {
    const match = /^(\d{1,12}(?:\.\d{1,6})?)(us|ms|s|m|min|h|d)$/.exec(text);
    if (match === null)
      throw new AttestreamError(
        'USAGE',
        `${name} must be a duration such as 250ms, 10s or 5m, not ${JSON.stringify(text)}`,
      );
    return Math.round(Number(match[1]) * UNITS[match[2]!]!);
  };

/** A share of something: more than 0, at most 1. Throws USAGE. */
export const share =
  (name: string) =>
  (text: string): number => {
    const value = /^\d?\.?\d{1,6}$/.test(text) ? Number(text) : 0;
    if (value > 0 && value <= 1) return value;
    throw new AttestreamError('USAGE', `${name} must be a share such as 0.05, not ${JSON.stringify(text)}`);
  };

/** `10/s`, `600/min` or a bare number per second → per second. Throws USAGE. */
export const perSecond =
  (name: string) =>
  (text: string): number => {
    const match = /^(\d{1,9}(?:\.\d{1,6})?)(?:\/(s|m|min))?$/.exec(text);
    const value = match === null ? 0 : Number(match[1]) / (match[2] === undefined || match[2] === 's' ? 1 : 60);
    if (value > 0) return value;
    throw new AttestreamError('USAGE', `${name} must be a rate such as 10/s, not ${JSON.stringify(text)}`);
  };
