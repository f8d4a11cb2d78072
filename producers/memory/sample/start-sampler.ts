import { Worker } from 'node:worker_threads';
import { AttestreamError } from '../../../schemas/errors.js';
import type { SamplerRequest, SamplerSettings, SamplerTold } from './sampler-messages.js';

/** Beside this file, in the sources and in what was built of them. */
const ENTRY = new URL(`./sampler-worker.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url);

/** The sampling thread, as others see it. */
export interface SamplerThread {
  ask(request: SamplerRequest): void;
  /** What it told since this was last asked, once there is anything; null when it has ended. Throws what it died of. */
  told(): Promise<readonly SamplerTold[] | null>;
  /** So many looks have been taken over: the sampler may go on. */
  taken(looks: number): void;
  /** Ends the thread whatever it does. */
  kill(): Promise<void>;
}

/** Starts a thread that does nothing but look, so that nothing else of Node delays a planned look. */
export const startSampler = (settings: Omit<SamplerSettings, 'bell'>): SamplerThread => {
  const bell = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(ENTRY, {
    workerData: { ...settings, bell } satisfies SamplerSettings,
    // A look leaves little behind: a small nursery keeps the thread's memory small, and its pauses short.
    resourceLimits: { maxYoungGenerationSizeMb: 4 },
    // Its own copy: a loader of sources, where there is one, is named there.
    env: { ...process.env },
  });
  let waiting: SamplerTold[] = [];
  let over = false;
  let failure: unknown;
  let wake = (): void => {};
  worker.on('message', (batch: readonly SamplerTold[]) => {
    waiting.push(...batch);
    wake();
  });
  worker.on('error', (error) => {
    failure = error;
    wake();
  });
  worker.on('exit', (code) => {
    over = true;
    if (code !== 0) failure ??= new AttestreamError('INTERNAL', `the sampling thread ended with code ${code}`);
    wake();
  });
  return {
    ask(request) {
      worker.postMessage(request);
      Atomics.store(bell, 0, 1);
      Atomics.notify(bell, 0);
    },
    async told() {
      while (waiting.length === 0) {
        if (failure !== undefined) throw failure;
        if (over) return null;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      const batch = waiting;
      waiting = [];
      return batch;
    },
    taken(looks) {
      Atomics.sub(bell, 1, looks);
    },
    async kill() {
      await worker.terminate();
    },
  };
};
