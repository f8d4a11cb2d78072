import type { Micros } from '../records.js';

const UNITS: Readonly<Record<string, number>> = {
  us: 1,
  µs: 1,
  ms: 1000,
  s: 1_000_000,
  m: 60_000_000,
  h: 3_600_000_000,
  d: 86_400_000_000,
};

const FORM = /^(\d{1,15})(?:\.(\d{1,6}))?(us|µs|ms|s|m|h|d)$/;

/** `250us`, `4ms`, `1.5s`, `10m`, `2h`, `7d` as whole microseconds; undefined if it is none or not a whole number of them. */
export const parseDuration = (text: string): Micros | undefined => {
  const parts = FORM.exec(text.trim());
  if (parts === null) return undefined;
  const unit = UNITS[parts[3]!]!;
  const fraction = parts[2] ?? '';
  const scaled = Number(fraction) * unit;
  const divisor = 10 ** fraction.length;
  const micros = Number(parts[1]) * unit + scaled / divisor;
  return scaled % divisor === 0 && Number.isSafeInteger(micros) ? micros : undefined;
};
