/** Wakes those who wait for something to change. */
export class Bell {
  readonly #waiting = new Set<() => void>();

  ring(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  /** Until the next ring, an abort of `stop`, or the end of `ms`, whichever comes first. */
  wait(stop?: AbortSignal, ms?: number): Promise<void> {
    return new Promise((resolve) => {
      if (stop?.aborted === true) {
        resolve();
        return;
      }
      let timer: NodeJS.Timeout | undefined;
      const wake = (): void => {
        this.#waiting.delete(wake);
        stop?.removeEventListener('abort', wake);
        clearTimeout(timer);
        resolve();
      };
      if (ms !== undefined) timer = setTimeout(wake, ms);
      stop?.addEventListener('abort', wake, { once: true });
      this.#waiting.add(wake);
    });
  }
}
