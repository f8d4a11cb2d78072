import { AttestreamError } from '../../schemas/errors.js';
import { offsetSeconds } from './iso-time.js';

/** Offsets change at most at quarter hours. */
const STEP = 900;

/** Offsets kept per zone before the memory of them is cleared. */
const MAX_KEPT = 65_536;

/**
 * Seconds east of UTC at a wall time (seconds since 1970 as if UTC).
 * A wall time that occurs twice means its first occurrence; one that a clock change left out counts as before the change.
 * @throws USAGE for a zone that does not exist
 */
export const compileZone = (zone: string): ((local: number) => number) => {
  if (zone === 'UTC') return () => 0;
  const fixed = offsetSeconds(zone);
  if (fixed !== null) return () => fixed;
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  } catch (cause) {
    throw new AttestreamError(
      'USAGE',
      `there is no time zone ${JSON.stringify(zone)}; name one as Europe/Berlin, UTC or +02:00`,
      {},
      { cause },
    );
  }
  const at = (utc: number): number => {
    const part: Record<string, number> = {};
    for (const { type, value } of format.formatToParts(utc * 1000)) part[type] = Number(value);
    const wall = Date.UTC(part['year']!, part['month']! - 1, part['day'], part['hour'], part['minute'], part['second']);
    return wall / 1000 - utc;
  };
  const resolve = (local: number): number => {
    // The offset before any change near by: valid, if the wall time read with it shows the same offset.
    const before = at(local - 86_400);
    const after = at(local + 86_400);
    if (at(local - before) === before) return before;
    return at(local - after) === after ? after : before;
  };
  const kept = new Map<number, number>();
  return (local) => {
    const slot = Math.floor(local / STEP);
    const known = kept.get(slot);
    if (known !== undefined) return known;
    if (kept.size >= MAX_KEPT) kept.clear();
    const offset = resolve(slot * STEP);
    kept.set(slot, offset);
    return offset;
  };
};
