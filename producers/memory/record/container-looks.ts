import { randomBytes } from 'node:crypto';
import { isAttestreamError } from '../../../schemas/errors.js';
import type { AgentContext } from '../../agent.js';
import { boottimeMicros } from '../../identity/boottime.js';
import type { EventStream } from '../../stream/event-stream.js';
import { keepTrying } from '../../stream/keep-trying.js';
import { aborted, every, together } from '../../stream/together.js';
import type { SamplerThread } from '../sample/start-sampler.js';
import { startSampler } from '../sample/start-sampler.js';
import type { Budget } from '../schedule/rate-controller.js';
import type { LookRules } from './look-rules.js';
import { followPredictions } from './prediction-feed.js';
import { ProcessWatch } from './process-watch.js';
import { Recording } from './recording.js';

export interface ContainerLooksOptions {
  readonly context: AgentContext;
  readonly events: EventStream;
  /** Images of the containers that are watched, by id. */
  readonly watched: ReadonlyMap<string, { readonly image: string }>;
  readonly rulesFor: (container: string, binary: string) => LookRules | null;
  /** Of each container. */
  readonly budget: Budget;
  /** Name and version of the program. */
  readonly agent: string;
  readonly onNote?: (note: string) => void;
}

/** ms between scans for processes that began or ended, and between appends to the log. */
const SCAN_MS = 50;
const FLUSH_MS = 200;

/** Looks at the processes of the containers that are watched, as events of one stream. */
export class ContainerLooks {
  readonly #options: ContainerLooksOptions;
  readonly #sampler: SamplerThread;
  readonly #watch: ProcessWatch;
  readonly #recording: Recording;

  constructor(options: ContainerLooksOptions) {
    const { context, events, watched } = options;
    const offset = Math.round(context.now() - boottimeMicros());
    events.put('StreamOpened', {
      at: context.now(),
      kind: 'agent',
      boot: context.boot,
      offset,
      agent: options.agent,
      previous: [],
    });
    this.#options = options;
    this.#sampler = startSampler({ offset, hashKey: randomBytes(32) });
    this.#watch = new ProcessWatch({ containers: watched });
    this.#recording = new Recording({
      sampler: this.#sampler,
      sink: events,
      watch: this.#watch,
      offset,
      rulesFor: options.rulesFor,
      imageOf: (container) => watched.get(container)?.image ?? '',
      budget: options.budget,
    });
  }

  /** More containers are watched now. */
  joined(): void {
    this.#watch.reconsider();
  }

  /** A container is watched no longer. */
  left(container: string): void {
    this.#recording.leave(container);
  }

  /** Other rules are in force, for those running processes too for which `reaches` holds. */
  reconsider(reaches: (container: string, rules: LookRules | null) => boolean): void {
    this.#recording.reconsider(reaches);
  }

  /** Until `stop`, with everything in the log. Throws what waiting does not mend. */
  async run(stop: AbortSignal): Promise<void> {
    const { context, events, onNote } = this.#options;
    const { log, host } = context;
    const sampler = this.#sampler;
    const recording = this.#recording;
    try {
      await together(
        stop,
        (halt) => every(SCAN_MS, halt, () => recording.scan()),
        (halt) => every(FLUSH_MS, halt, () => events.flush()),
        async (halt) => {
          await keepTrying(() => followPredictions(log, host, (one) => recording.predict(one), halt), halt, onNote);
        },
        async (halt) => {
          await aborted(halt);
          sampler.ask({ is: 'end' });
        },
        async () => {
          for (let batch = await sampler.told(); batch !== null; batch = await sampler.told())
            await recording.take(batch, () => Number.POSITIVE_INFINITY);
        },
      );
      await events.flush();
    } catch (error) {
      // A log that is away when the agent is asked to end: that records are lost is said, and it ends all the same.
      if (!(context.stop.aborted && isAttestreamError(error, 'LOG_CLOSED'))) throw error;
      onNote?.(error.message);
    } finally {
      await sampler.kill();
    }
  }
}
