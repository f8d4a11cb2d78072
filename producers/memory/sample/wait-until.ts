import koffi from 'koffi';
import { boottimeMicros } from '../../identity/boottime.js';

/** A sleeping thread is woken some 50 to 100 µs late: that much before the instant it spins instead. */
const SPIN_MICROS = 150;
const PR_SET_TIMERSLACK = 29;

/** The kernel may put off this thread's timers by 50 µs to wake several at once; not for us. */
export const sleepExactly = (): void => {
  try {
    koffi.load(null).func('int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)')(
      PR_SET_TIMERSLACK,
      1,
      0,
      0,
      0,
    );
  } catch {
    // Timers are a little later then.
  }
};

/**
 * Blocks this thread until `due` (CLOCK_BOOTTIME, µs), never less, unless `bell[0]` becomes other than 0: false then.
 * `exact` spins through the last stretch.
 */
export const waitUntil = (due: number, bell: Int32Array, exact: boolean): boolean => {
  for (;;) {
    const left = due - boottimeMicros();
    if (left <= 0) return Atomics.load(bell, 0) === 0;
    if (exact && left <= SPIN_MICROS) {
      while (boottimeMicros() < due);
      continue;
    }
    if (Atomics.wait(bell, 0, 0, (exact ? left - SPIN_MICROS : left) / 1000) !== 'timed-out') return false;
  }
};
