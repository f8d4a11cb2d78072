import { setTimeout as delay } from 'node:timers/promises';
import { isAttestreamError } from '../../schemas/errors.js';

/** ms between attempts. */
const RETRY_MS = 5000;

/** True for a log that is away: waiting may mend that. */
export const isLogAway = (error: unknown): boolean =>
  isAttestreamError(error, 'KAFKA_UNREACHABLE') || isAttestreamError(error, 'REGISTRY_UNREACHABLE');

/** Does some work with a log that may be away for a while, again and again until it is done; undefined if `stop` came first. Throws what waiting does not mend. */
export const keepTrying = async <T>(
  work: () => Promise<T>,
  stop: AbortSignal,
  onNote?: (note: string) => void,
): Promise<T | undefined> => {
  while (!stop.aborted)
    try {
      return await work();
    } catch (error) {
      if (stop.aborted) return undefined;
      if (!isLogAway(error)) throw error;
      onNote?.(`${(error as Error).message}; it is tried again`);
      await delay(RETRY_MS, undefined, { signal: stop }).catch(() => {});
    }
  return undefined;
};
