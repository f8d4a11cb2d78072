import type { Command } from 'commander';
import { ioOf } from './io.js';

const EVERY_MS = 250;

/** A line on the terminal that tells how far a long work is. Silent where nobody looks. */
export interface Progress {
  /** @param done and `of` in one unit, for the share and the time left; `of` 0: not known. @param events for the rate */
  update(done: number, of: number, events: number): void;
  end(): void;
}

const SILENT: Progress = { update: () => undefined, end: () => undefined };

const seconds = (count: number): string => {
  const whole = Math.ceil(count);
  if (whole < 60) return `${whole} s`;
  return whole < 3600
    ? `${Math.floor(whole / 60)} min ${whole % 60} s`
    : `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
};

const short = (count: number): string =>
  count >= 1e6
    ? `${(count / 1e6).toFixed(1)} M`
    : count >= 1e4
      ? `${Math.round(count / 1e3)} k`
      : String(Math.round(count));

/** The text of the line. Exported for its own sake: what is shown is arithmetic, not terminal. */
export const progressText = (label: string, elapsedMs: number, done: number, of: number, events: number): string => {
  const elapsed = Math.max(elapsedMs / 1000, 1e-3);
  const rate = `${label}: ${short(events)} events, ${short(events / elapsed)}/s`;
  if (of <= 0 || done <= 0) return rate;
  const share = Math.min(1, done / of);
  const left = share < 1 ? `, ${seconds((elapsed * (1 - share)) / share)} left` : '';
  return `${rate}, ${Math.floor(share * 100)} %${left}`;
};

export const progressOf = (command: Command, label: string): Progress => {
  const { stderr, env } = ioOf(command);
  const { quiet } = command.optsWithGlobals<{ quiet?: boolean }>();
  if (quiet === true || (stderr as NodeJS.WriteStream).isTTY !== true || env['TERM'] === 'dumb') return SILENT;
  const start = performance.now();
  let last = 0;
  let shown = false;
  return {
    update(done, of, events) {
      const now = performance.now();
      if (now - last < EVERY_MS) return;
      last = now;
      shown = true;
      stderr.write(`\r\u001b[2K${progressText(label, now - start, done, of, events)}`);
    },
    end() {
      if (shown) stderr.write('\r\u001b[2K');
    },
  };
};
