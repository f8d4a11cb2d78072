import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Policy } from '../../schemas/policy/policy.js';
import type { ChainHead } from '../../schemas/records.js';
import type { AgentContext, AgentPart } from '../agent.js';
import { boottimeMicros } from '../identity/boottime.js';
import { EventStream } from '../stream/event-stream.js';
import { followPredictions } from './record/prediction-feed.js';
import { ProcessWatch } from './record/process-watch.js';
import { Recording } from './record/recording.js';
import { startSampler } from './sample/start-sampler.js';
import type { Budget } from './schedule/rate-controller.js';

/** A container as far as choosing its policy needs it. */
export interface WatchedContainer {
  /** 64 hex digits. */
  readonly id: string;
  readonly name: string;
  readonly image: string;
}

export interface MemoryAgentOptions {
  /** Containers that run now, asked again each second. Rejections are noted, and the last answer holds. */
  readonly containers: () => Promise<readonly WatchedContainer[]>;
  /** The policy in force for a container; null: it is not looked at. */
  readonly policyFor: (container: WatchedContainer) => Policy | null;
  /** Of each container. */
  readonly budget: Budget;
  /** Name and version of the program. */
  readonly agent: string;
  readonly partitions?: number;
  readonly onNote?: (note: string) => void;
}

/** ms between scans for processes that began or ended, questions about containers, and appends to the log. */
const SCAN_MS = 50;
const CONTAINERS_MS = 1000;
const FLUSH_MS = 200;

/** The agent's part that looks at the processes of containers: many of them, one thread, one pass over the list of processes. */
export const memoryAgent = (options: MemoryAgentOptions): AgentPart => {
  let events: EventStream | null = null;
  return {
    head: (): ChainHead | null => events?.head ?? null,
    async run(context) {
      const { partitions, onNote } = options;
      events = await EventStream.open({
        log: context.log,
        topic: 'memory',
        stream: context.stream,
        host: context.host,
        stop: context.stop,
        ...(onNote === undefined ? {} : { onTrouble: onNote }),
        ...(partitions === undefined ? {} : { partitions }),
      });
      await watchContainers(options, context, events);
    },
  };
};

const watchContainers = async (
  options: MemoryAgentOptions,
  context: AgentContext,
  events: EventStream,
): Promise<void> => {
  const { stop, now } = context;
  const offset = Math.round(now() - boottimeMicros());
  events.put('StreamOpened', {
    at: now(),
    kind: 'agent',
    boot: context.boot,
    offset,
    agent: options.agent,
    previous: [],
  });
  const sampler = startSampler({ offset, hashKey: randomBytes(32) });
  const known = new Map<string, { readonly image: string; readonly policy: Policy }>();
  const watch = new ProcessWatch({ containers: known });
  const recording = new Recording({
    sampler,
    sink: events,
    watch,
    offset,
    policyFor: (container) => known.get(container)?.policy ?? null,
    imageOf: (container) => known.get(container)?.image ?? '',
    budget: options.budget,
  });
  const ask = async (): Promise<void> => {
    try {
      const running = await options.containers();
      const ids = new Set(running.map(({ id }) => id));
      for (const id of known.keys())
        if (!ids.has(id)) {
          known.delete(id);
          recording.leave(id);
        }
      for (const container of running) {
        const policy = known.has(container.id) ? null : options.policyFor(container);
        if (policy === null) continue;
        known.set(container.id, { image: container.image, policy });
        watch.reconsider();
      }
    } catch (error) {
      options.onNote?.(`containers cannot be listed: ${(error as Error).message}`);
    }
  };
  let failure: unknown;
  const parts: Promise<void>[] = [];
  const finish = new AbortController();
  const halt = (): void => finish.abort();
  stop.addEventListener('abort', halt, { once: true });
  if (stop.aborted) halt();
  const part = (work: () => Promise<void>): void => {
    parts.push(
      work().catch((error: unknown) => {
        if (!finish.signal.aborted) failure ??= error;
        halt();
      }),
    );
  };
  const every = (ms: number, work: () => Promise<void> | void) => async (): Promise<void> => {
    while (!finish.signal.aborted) {
      await work();
      await delay(ms, undefined, { signal: finish.signal }).catch(() => {});
    }
  };
  try {
    await ask();
    part(every(CONTAINERS_MS, ask));
    part(every(SCAN_MS, () => recording.scan()));
    part(every(FLUSH_MS, () => events.flush()));
    part(() => followPredictions(context.log, context.host, (one) => recording.predict(one), finish.signal));
    part(async () => {
      for (let batch = await sampler.told(); batch !== null; batch = await sampler.told())
        await recording.take(batch, () => Number.POSITIVE_INFINITY);
    });
    await new Promise<void>((resolve) => {
      if (finish.signal.aborted) resolve();
      else finish.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    sampler.ask({ is: 'end' });
    await Promise.all(parts);
    await events.flush();
    if (failure !== undefined) throw failure;
  } finally {
    stop.removeEventListener('abort', halt);
    await sampler.kill();
  }
};
