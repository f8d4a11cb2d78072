import { setTimeout as delay } from 'node:timers/promises';

/** Resolves once the signal aborts. */
export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** Does something at once and then after each pause, until `stop`. */
export const every = async (ms: number, stop: AbortSignal, work: () => Promise<void> | void): Promise<void> => {
  while (!stop.aborted) {
    await work();
    await delay(ms, undefined, { signal: stop }).catch(() => {});
  }
};

/**
 * Does several things until all have ended. Where one fails, the others' signal aborts, and its error is thrown once they have
 * ended; what fails after an abort is a consequence of it and counts for nothing.
 */
export const together = async (
  stop: AbortSignal,
  ...parts: readonly ((stop: AbortSignal) => Promise<void>)[]
): Promise<void> => {
  const failed = new AbortController();
  const halt = AbortSignal.any([stop, failed.signal]);
  const failures: unknown[] = [];
  await Promise.all(
    parts.map(async (part) => {
      try {
        await part(halt);
      } catch (error) {
        if (!halt.aborted) failures.push(error);
        failed.abort();
      }
    }),
  );
  if (failures.length > 0) throw failures[0];
};
