import { AttestreamError } from '../../schemas/errors.js';
import { fractionMicros, offsetSeconds, type WallTime, wallSeconds } from './iso-time.js';

type Part =
  | 'year'
  | 'year2'
  | 'month'
  | 'monthName'
  | 'day'
  | 'hour'
  | 'hour12'
  | 'half'
  | 'minute'
  | 'second'
  | 'fraction'
  | 'offset'
  | 'epoch';

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

const EXPRESSION: Readonly<Record<Part, string>> = {
  year: '(\\d{4})',
  year2: '(\\d\\d)',
  month: '(\\d{1,2})',
  monthName: '([A-Za-z]{3,9})',
  day: '\\s?(\\d{1,2})',
  hour: '(\\d{1,2})',
  hour12: '(\\d{1,2})',
  half: '([AaPp][Mm])',
  minute: '(\\d{1,2})',
  second: '(\\d{1,2})',
  fraction: '(\\d{1,24})',
  offset: '([Zz]|[+-]\\d\\d(?::?\\d\\d)?)',
  epoch: '(\\d{1,12})',
};

const STRPTIME: Readonly<Record<string, Part>> = {
  Y: 'year',
  y: 'year2',
  m: 'month',
  b: 'monthName',
  B: 'monthName',
  h: 'monthName',
  d: 'day',
  e: 'day',
  H: 'hour',
  I: 'hour12',
  p: 'half',
  M: 'minute',
  S: 'second',
  f: 'fraction',
  L: 'fraction',
  z: 'offset',
  s: 'epoch',
};

const UNICODE: Readonly<Record<string, Part>> = {
  yyyy: 'year',
  uuuu: 'year',
  yy: 'year2',
  MMMM: 'monthName',
  MMM: 'monthName',
  MM: 'month',
  M: 'month',
  dd: 'day',
  d: 'day',
  HH: 'hour',
  H: 'hour',
  hh: 'hour12',
  h: 'hour12',
  a: 'half',
  mm: 'minute',
  m: 'minute',
  ss: 'second',
  s: 'second',
  X: 'offset',
  XX: 'offset',
  XXX: 'offset',
  Z: 'offset',
  xxx: 'offset',
};

const literal = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');

const bad = (format: string, what: string): AttestreamError =>
  new AttestreamError(
    'USAGE',
    `the time format ${JSON.stringify(format)} has ${what}, which is not known; use %Y %m %d %H %M %S %f %z or yyyy MM dd HH mm ss SSS XXX`,
  );

const pieces = (format: string): (Part | { readonly text: string })[] => {
  const found: (Part | { readonly text: string })[] = [];
  if (format.includes('%')) {
    for (const [piece] of format.matchAll(/%.|[^%]+|%$/gs)) {
      if (!piece.startsWith('%')) found.push({ text: piece });
      else if (piece === '%%') found.push({ text: '%' });
      else if (piece === '%T') found.push('hour', { text: ':' }, 'minute', { text: ':' }, 'second');
      else if (piece === '%F') found.push('year', { text: '-' }, 'month', { text: '-' }, 'day');
      else if (Object.hasOwn(STRPTIME, piece.slice(1))) found.push(STRPTIME[piece.slice(1)] as Part);
      else throw bad(format, piece);
    }
    return found;
  }
  for (const [piece] of format.matchAll(/'[^']*'|([A-Za-z])\1*|[^A-Za-z']+/g)) {
    if (piece === "''") found.push({ text: "'" });
    else if (piece.startsWith("'")) found.push({ text: piece.slice(1, -1) });
    else if (/^S+$/.test(piece)) found.push('fraction');
    else if (Object.hasOwn(UNICODE, piece)) found.push(UNICODE[piece]!);
    else if (/^[A-Za-z]/.test(piece) && piece !== 'T') throw bad(format, piece);
    else found.push({ text: piece });
  }
  return found;
};

/** A reader for times written in a strptime (`%Y-%m-%d %H:%M:%S.%f`) or Unicode (`yyyy-MM-dd HH:mm:ss.SSS`) pattern. Throws USAGE. */
export const compilePattern = (format: string): ((text: string) => WallTime | null) => {
  const order: Part[] = [];
  let source = '^';
  for (const piece of pieces(format)) {
    if (typeof piece === 'string') {
      order.push(piece);
      source += EXPRESSION[piece];
    } else source += literal(piece.text).replace(/\s+/g, '\\s+');
  }
  const expression = new RegExp(`${source}$`);
  if (!order.includes('epoch') && !(order.includes('day') && order.some((part) => part.startsWith('year'))))
    throw new AttestreamError('USAGE', `the time format ${JSON.stringify(format)} names no year and day`);
  return (text) => {
    const match = expression.exec(text);
    if (match === null) return null;
    const value: Partial<Record<Part, string>> = {};
    for (const [i, part] of order.entries()) value[part] = match[i + 1]!;
    const micros = fractionMicros(value.fraction);
    const offset = value.offset === undefined ? null : offsetSeconds(value.offset);
    if (value.epoch !== undefined) return { local: Number(value.epoch), micros, offset: 0 };
    const month =
      value.monthName === undefined
        ? Number(value.month ?? 1)
        : MONTHS.indexOf(value.monthName.slice(0, 3).toLowerCase()) + 1;
    // Two-digit years as POSIX strptime reads them.
    const short = Number(value.year2);
    const year = value.year === undefined ? short + (short < 69 ? 2000 : 1900) : Number(value.year);
    let hour = Number(value.hour ?? value.hour12 ?? 0);
    if (value.hour12 !== undefined) {
      if (hour < 1 || hour > 12) return null;
      hour = (hour % 12) + (value.half?.toLowerCase() === 'pm' ? 12 : 0);
    }
    const local = wallSeconds(
      year,
      month,
      Number(value.day),
      hour,
      Number(value.minute ?? 0),
      Number(value.second ?? 0),
    );
    return local === null ? null : { local, micros, offset };
  };
};
