import { parentPort, workerData } from 'node:worker_threads';
import { AttestreamError } from '../../schemas/errors.js';
import { judgeShare, type Share } from './judge.js';

/** What a worker tells its owner. */
export type WorkerMessage =
  | { readonly is: 'progress'; readonly records: number }
  | { readonly is: 'result'; readonly results: Awaited<ReturnType<typeof judgeShare>> }
  | { readonly is: 'error'; readonly code: string; readonly message: string; readonly stack: string };

const port = parentPort!;
const stop = new AbortController();
port.on('message', () => stop.abort());

/** Messages cost more than records: progress goes in gulps. */
const GULP = 50_000;
let held = 0;
const progress = (records: number): void => {
  held += records;
  if (held < GULP) return;
  port.postMessage({ is: 'progress', records: held } satisfies WorkerMessage);
  held = 0;
};

try {
  const results = await judgeShare(workerData as Share, stop.signal, progress);
  port.postMessage({ is: 'progress', records: held } satisfies WorkerMessage);
  port.postMessage({ is: 'result', results } satisfies WorkerMessage);
} catch (error) {
  const { code, message, stack } = error as AttestreamError;
  const known = error instanceof AttestreamError;
  port.postMessage({
    is: 'error',
    code: known ? code : 'INTERNAL',
    message,
    stack: stack ?? '',
  } satisfies WorkerMessage);
}
port.close();
