import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { boottimeMicros } from '../../identity/boottime.js';
import { Sampler } from './sampler.js';
import type { SamplerRequest, SamplerSettings, SamplerTold } from './sampler-messages.js';
import { sleepExactly, waitUntil } from './wait-until.js';

/** µs until the next look that leave time to hand over what was seen. */
const HANDOVER = 1500;
const MAX_BATCH = 64;
/** µs that what was seen may wait to be handed over. */
const LINGER = 50_000;
/** µs to sleep at most where nothing is due. */
const IDLE = 1_000_000;

// The entry of the thread that does nothing but look: it has no event loop to speak of, so that nothing delays a look.
const port = parentPort!;
const settings = workerData as SamplerSettings;
const { bell } = settings;
let told: SamplerTold[] = [];
let oldest = 0;

const handOver = (): void => {
  if (told.length === 0) return;
  port.postMessage(told);
  told = [];
};

const sampler = new Sampler(settings, (one) => {
  if (told.length === 0) oldest = boottimeMicros();
  told.push(one);
  if (one.is !== 'look') handOver();
});

sleepExactly();
for (let over = false; !over; ) {
  // Set to 0 before the messages are taken: one that comes later rings again.
  Atomics.store(bell, 0, 0);
  for (;;) {
    const received = receiveMessageOnPort(port) as { readonly message: SamplerRequest } | undefined;
    if (received === undefined) break;
    sampler.handle(received.message);
    if (received.message.is === 'end') over = true;
  }
  while (!over && Atomics.load(bell, 0) === 0) {
    const due = sampler.next();
    const now = boottimeMicros();
    const at = due?.at ?? now + IDLE;
    if (told.length > 0 && (at - now > HANDOVER || told.length >= MAX_BATCH || now - oldest > LINGER)) handOver();
    if (!waitUntil(at, bell, due?.exact ?? false)) break;
    due?.run();
  }
}
handOver();
port.close();
