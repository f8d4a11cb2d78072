import { flushContext } from './flush-context.js';
import type { Tpm } from './tpm.js';

/** Transient objects and sessions that somebody is responsible for. */
export interface Scope {
  /** Gives the handle back; it is flushed when the scope ends. */
  own(handle: number): number;
  /** Flushes a handle now. */
  release(handle: number): Promise<void>;
  /** Hands the responsibility to the caller: the handle outlives the scope. */
  keep(handle: number): number;
}

/**
 * Runs work and then flushes what it loaded, last first, whether or not it failed: a TPM has room for three objects,
 * and what is lost stays until the next reset.
 */
export const withScope = async <T>(tpm: Tpm, work: (scope: Scope) => Promise<T>): Promise<T> => {
  const owned: number[] = [];
  const forget = (handle: number): boolean => {
    const at = owned.indexOf(handle);
    if (at >= 0) owned.splice(at, 1);
    return at >= 0;
  };
  const scope: Scope = {
    own: (handle) => {
      owned.push(handle);
      return handle;
    },
    release: async (handle) => {
      if (forget(handle)) await flushContext(tpm, handle);
    },
    keep: (handle) => {
      forget(handle);
      return handle;
    },
  };
  try {
    return await work(scope);
  } finally {
    for (const handle of owned.reverse()) {
      // What went wrong before matters more; and after a reset of the TPM there is nothing left to flush.
      await flushContext(tpm, handle).catch(() => undefined);
    }
  }
};
