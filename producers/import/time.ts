import { AttestreamError } from '../../schemas/errors.js';
import type { Micros } from '../../schemas/records.js';
import { parseIso } from './iso-time.js';
import { FloatText, NumberText } from './number-text.js';
import { compilePattern } from './time-pattern.js';
import { compileZone } from './zone.js';

export type TimeUnit = 's' | 'ms' | 'us' | 'ns';

export interface TimeFormat {
  /** Of a number since 1970-01-01T00:00:00Z. */
  readonly unit: TimeUnit | null;
  /** A pattern (`%Y-%m-%d …` or `yyyy-MM-dd …`); null with no unit: ISO 8601. */
  readonly format: string | null;
  /** Zone of texts that name none: `UTC` (default), `+02:00` or an IANA name. */
  readonly zone: string | null;
}

/** 2200-01-01T00:00:00Z. Nothing that was observed lies beyond, but times in a wrong unit do. */
const LATEST = 7_258_118_400_000_000;

/** Decimal digits by which a unit is shifted to become microseconds. */
const SHIFT: Readonly<Record<TimeUnit, number>> = { s: 6, ms: 3, us: 0, ns: -3 };

/** Throws TIME_OUT_OF_RANGE unless 1970 ≤ `at` < 2200. */
export const plausible = (at: number): Micros => {
  if (at >= 0 && at < LATEST) return at;
  throw new AttestreamError(
    'TIME_OUT_OF_RANGE',
    `the time ${at} µs lies outside of 1970..2199; check the unit of the time column`,
  );
};

const unreadable = (text: string, wanted: string): AttestreamError =>
  new AttestreamError('IMPORT_TIME', `the time ${JSON.stringify(text.slice(0, 64))} is not ${wanted}`);

/** Decimal text → whole microseconds, by digits: a double would lose the last ones. Finer digits are cut off. */
export const decimalToMicros = (text: string, unit: TimeUnit): number => {
  const match = /^\+?(-?)(\d{1,24})(?:\.(\d{0,24}))?$/.exec(text);
  if (match === null) {
    const number = /^[+-]?\d{1,24}(?:\.\d{0,24})?[eE][+-]?\d{1,2}$/.test(text) ? Number(text) : Number.NaN;
    if (!Number.isFinite(number)) throw unreadable(text, `a number of ${unit}`);
    return Math.floor(number * 10 ** SHIFT[unit]);
  }
  const [, sign, whole = '', fraction = ''] = match;
  const shift = SHIFT[unit];
  const digits = shift >= 0 ? whole + fraction.padEnd(shift, '0').slice(0, shift) : whole.slice(0, shift);
  const micros = Number(digits);
  return sign === '-' ? -micros : micros;
};

/** Reads the cells of a time column. The result throws IMPORT_TIME or TIME_OUT_OF_RANGE. */
export const compileTime = (spec: TimeFormat): ((value: unknown) => Micros) => {
  const { unit } = spec;
  const text = (value: unknown): string => {
    if (typeof value === 'string') return value.trim();
    if (value instanceof NumberText || value instanceof FloatText) return value.digits;
    if (typeof value === 'number') return String(value);
    throw new AttestreamError(
      'IMPORT_TIME',
      value === undefined || value === null ? 'the row has no time' : 'the time is neither number nor text',
    );
  };
  if (unit !== null)
    return (value) => {
      if (typeof value === 'number' && unit === 'us' && Number.isSafeInteger(value)) return plausible(value);
      return plausible(decimalToMicros(text(value), unit));
    };
  const zone = compileZone(spec.zone ?? 'UTC');
  const parse = spec.format === null || spec.format === 'iso8601' ? parseIso : compilePattern(spec.format);
  const wanted =
    spec.format === null ? 'ISO 8601 (name its `unit` or `format` in the map)' : `in the form ${spec.format}`;
  return (value) => {
    const source = text(value);
    const found = parse(source);
    if (found === null) throw unreadable(source, wanted);
    const offset = found.offset ?? zone(found.local);
    return plausible((found.local - offset) * 1_000_000 + found.micros);
  };
};
