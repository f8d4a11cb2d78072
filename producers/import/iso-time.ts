/** A time of day on a wall: `local` in seconds since 1970 as if it were UTC, `offset` in seconds east if the text names one. */
export interface WallTime {
  readonly local: number;
  /** 0..999999 */
  readonly micros: number;
  readonly offset: number | null;
}

/** Seconds since 1970 of a calendar time, null if there is no such day. Second 60 (a leap second) is the next minute's first. */
export const wallSeconds = (
  year: number,
  month: number,
  day: number,
  hour: number,
  minute: number,
  second: number,
): number | null => {
  if (month < 1 || month > 12 || day < 1 || minute > 59 || second > 60 || hour > 24) return null;
  if (hour === 24 && (minute !== 0 || second !== 0)) return null;
  const midnight = new Date(0).setUTCFullYear(year, month - 1, day);
  if (new Date(midnight).getUTCDate() !== day) return null;
  return midnight / 1000 + hour * 3600 + minute * 60 + second;
};

/** First six digits of a fraction: finer ones are cut off. */
export const fractionMicros = (digits: string | undefined): number =>
  digits === undefined ? 0 : Number(digits.slice(0, 6).padEnd(6, '0'));

/** `Z`, `+02`, `+0200`, `+02:00` → seconds east; null if it is none of these. */
export const offsetSeconds = (text: string): number | null => {
  if (text === 'Z' || text === 'z') return 0;
  const match = /^([+-])(\d\d):?(\d\d)?$/.exec(text);
  if (match === null) return null;
  const seconds = Number(match[2]) * 3600 + Number(match[3] ?? 0) * 60;
  return match[1] === '-' ? -seconds : seconds;
};

const ISO =
  /^(\d{4})-?(\d\d)-?(\d\d)(?:[Tt ](\d\d)(?::?(\d\d)(?::?(\d\d)(?:[.,](\d{1,24}))?)?)?\s?([Zz]|[+-]\d\d(?::?\d\d)?)?)?$/;

/** ISO 8601 calendar dates and times, extended and basic form (RFC 3339 with it). */
export const parseIso = (text: string): WallTime | null => {
  const match = ISO.exec(text);
  if (match === null) return null;
  const [, year, month, day, hour, minute, second, fraction, zone] = match;
  const local = wallSeconds(
    Number(year),
    Number(month),
    Number(day),
    Number(hour ?? 0),
    Number(minute ?? 0),
    Number(second ?? 0),
  );
  if (local === null) return null;
  return { local, micros: fractionMicros(fraction), offset: zone === undefined ? null : offsetSeconds(zone) };
};
