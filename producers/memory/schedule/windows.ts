import type { Micros, PredictionRow } from '../../../schemas/records.js';
import type { Random } from './secret-random.js';

/** A call that started in [notBefore, at]. */
export interface Sighting {
  readonly function: string;
  readonly notBefore: Micros;
  readonly at: Micros;
}

/** When a function may be on the stack, and what catching it is worth. */
export interface Window {
  readonly function: string;
  readonly from: Micros;
  readonly to: Micros;
  /** Chance that it comes in this window, 0 to 1. */
  readonly probability: number;
  readonly weight: number;
  readonly visible: Micros;
  /** Steps ahead of what was seen. */
  readonly depth: number;
}

/** An instant at which a look would be worth something: its chance to catch times the worth of that. */
export interface Candidate {
  readonly at: Micros;
  readonly value: number;
  readonly process: string;
}

/** Steps ahead: beyond, windows have grown wider than what they hold. */
const MAX_DEPTH = 4;
const MAX_WINDOWS = 256;
/** Looks into one window: with more, each is worth next to nothing. */
const MAX_LOOKS = 16;
/** Strata of a window of a function whose duration is not known. */
const BLIND_LOOKS = 4;
const MILLION = 1_000_000;

/**
 * The windows that follow from a call, several steps ahead: what comes after a function that was not caught is still looked
 * for, at the sum of offsets and with both uncertainties. Nearest steps first; a row that closes a circle is followed like any
 * other until the depth ends. Windows that begin after `until` are left out.
 */
export const windowsAfter = (rows: readonly PredictionRow[], seen: Sighting, until: Micros): Window[] => {
  const windows: Window[] = [];
  let steps = [{ function: seen.function, from: seen.notBefore, to: seen.at, probability: 1 }];
  for (let depth = 1; depth <= MAX_DEPTH && steps.length > 0; depth++) {
    const next: typeof steps = [];
    for (const step of steps)
      for (const row of rows) {
        if (row.seen !== step.function || windows.length >= MAX_WINDOWS) continue;
        const from = step.from + Math.min(row.from, row.to);
        const to = step.to + Math.max(row.from, row.to);
        const probability = step.probability * Math.min(1, Math.max(0, row.probability / MILLION));
        if (!(probability > 0) || !(from <= until)) continue;
        const { visible } = row;
        windows.push({ function: row.function, from, to, probability, weight: row.weight / MILLION, visible, depth });
        next.push({ function: row.function, from, to, probability });
      }
    steps = next;
  }
  return windows;
};

/**
 * The start of a call narrowed by what was expected of it: where its interval and a window of its function overlap, it lies there,
 * or up to half the window's width before it, so that a program that has become faster is followed. Elsewhere nothing is narrowed.
 */
export const narrowed = (seen: Sighting, windows: readonly Window[]): Sighting => {
  let notBefore = Number.POSITIVE_INFINITY;
  for (const window of windows) {
    if (window.function !== seen.function || window.from > seen.at || window.to < seen.notBefore) continue;
    notBefore = Math.min(notBefore, window.from - (window.to - window.from) / 2);
  }
  return notBefore === Number.POSITIVE_INFINITY || notBefore <= seen.notBefore
    ? seen
    : { ...seen, notBefore: Math.round(notBefore) };
};

/**
 * Instants to look into a window: one for each stretch as long as the function stays visible, placed in it by secret jitter, so
 * that misses are independent. Each is worth the share of the window's chance that falls into its stretch.
 */
export const candidatesIn = (window: Window, process: string, random: Random): Candidate[] => {
  // What starts at the end of the window is visible for a while behind it; what starts at its beginning is not yet before.
  const span = Math.max(1, window.to - window.from);
  const count = Math.max(1, Math.min(MAX_LOOKS, window.visible > 0 ? Math.ceil(span / window.visible) : BLIND_LOOKS));
  const stratum = span / count;
  const catches = window.visible > 0 ? Math.min(1, window.visible / stratum) : 1;
  const value = (window.probability * window.weight * catches) / count;
  return Array.from({ length: count }, (_, i) => ({
    at: Math.round(window.from + (i + random()) * stratum),
    value,
    process,
  }));
};
