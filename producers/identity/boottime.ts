import { readFileSync } from 'node:fs';
import koffi from 'koffi';

const CLOCK_BOOTTIME = 7;
const RECHECK = 1_000_000_000n;

/** Nanoseconds of CLOCK_BOOTTIME through the C library; null where that cannot be called. */
const systemClock = (): (() => bigint) | null => {
  try {
    const clock = koffi.load(null).func('int clock_gettime(int clock, void *time)');
    const time = Buffer.alloc(16);
    const read = (): bigint => {
      clock(CLOCK_BOOTTIME, time);
      return time.readBigInt64LE(0) * 1_000_000_000n + time.readBigInt64LE(8);
    };
    return read() > 0n ? read : null;
  } catch {
    return null;
  }
};

/** `/proc/uptime` is CLOCK_BOOTTIME in hundredths of a second: enough to notice a suspend, not to time a look. */
const uptime = (): bigint =>
  BigInt(Math.round(Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]) * 1e3)) * 1_000_000n;

const clock = systemClock() ?? uptime;

let skew = clock() - process.hrtime.bigint();
let checked = process.hrtime.bigint();

/**
 * CLOCK_BOOTTIME in whole microseconds. Runs on CLOCK_MONOTONIC, which Node reads fast, plus their difference; it changes
 * only in a suspend and is taken anew each second.
 */
export const boottimeMicros = (): number => {
  const now = process.hrtime.bigint();
  if (now - checked > RECHECK) {
    const fresh = clock() - process.hrtime.bigint();
    // Differences below a millisecond are the cost of reading two clocks.
    if (fresh - skew > 1_000_000n) skew = fresh;
    checked = now;
  }
  return Number((now + skew) / 1000n);
};
