const idle = new Int32Array(new SharedArrayBuffer(4));

/** Holds this thread for so many milliseconds. */
export const nap = (ms: number): void => void Atomics.wait(idle, 0, 0, ms);
