import { Worker } from 'node:worker_threads';
import { AttestreamError, type ErrorCode } from '../../schemas/errors.js';
import { judgeShare, type Share } from './judge.js';
import type { PartitionResult } from './partition-run.js';
import type { WorkerMessage } from './worker.js';

const runWorker = (
  share: Share,
  stop: AbortSignal,
  onProgress: (records: number) => void,
): Promise<readonly PartitionResult[]> =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: share });
    const halt = (): void => worker.postMessage('stop');
    stop.addEventListener('abort', halt, { once: true });
    worker.on('message', (message: WorkerMessage) => {
      if (message.is === 'progress') onProgress(message.records);
      else if (message.is === 'result') resolve(message.results);
      else reject(new AttestreamError(message.code as ErrorCode, message.message));
    });
    worker.on('error', reject);
    worker.on('exit', (code) => {
      stop.removeEventListener('abort', halt);
      reject(new AttestreamError('INTERNAL', `a worker thread ended with code ${code} and no result`));
    });
  });

/**
 * Judges all partitions of a share with `workers` threads, each owning whole partitions: their order inside a partition is all
 * that counts, so the answer does not depend on the number. One worker is this thread.
 */
export const judgeWithWorkers = async (
  share: Share,
  workers: number,
  stop: AbortSignal,
  onProgress: (records: number) => void,
): Promise<readonly PartitionResult[]> => {
  const count = Math.min(workers, share.partitions.length);
  if (count <= 1) return judgeShare(share, stop, onProgress);
  // Largest first, each to the least loaded: partitions differ much when hosts do.
  const shares = Array.from({ length: count }, () => ({ load: 0, partitions: [] as Share['partitions'][number][] }));
  for (const partition of [...share.partitions].sort((a, b) => b.until - b.from - (a.until - a.from))) {
    const least = shares.reduce((best, other) => (other.load < best.load ? other : best));
    least.load += partition.until - partition.from;
    least.partitions.push(partition);
  }
  const results = await Promise.all(
    shares.map(({ partitions }) => runWorker({ ...share, partitions }, stop, onProgress)),
  );
  return results.flat();
};
