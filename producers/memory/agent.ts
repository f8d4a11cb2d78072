import type { ChainHead } from '../../schemas/records.js';
import type { AgentContext, AgentPart } from '../agent.js';
import { EventStream } from '../stream/event-stream.js';
import { keepTrying } from '../stream/keep-trying.js';
import { aborted, every, together } from '../stream/together.js';
import type { HeldPolicies, PolicySource } from './assigned/policy-source.js';
import { ContainerLooks } from './record/container-looks.js';
import { type LookRules, lookRules } from './record/look-rules.js';
import type { Budget } from './schedule/rate-controller.js';

/** A container as far as choosing its policies needs it. */
export interface WatchedContainer {
  /** 64 hex digits. */
  readonly id: string;
  readonly name: string;
  readonly image: string;
}

export interface MemoryAgentOptions {
  /** Containers that run now, asked again each second. A rejection is noted once, and the last answer holds. */
  readonly containers: () => Promise<readonly WatchedContainer[]>;
  /** A container for which no policy holds is not looked at. */
  readonly policies: PolicySource;
  /** Of each container. */
  readonly budget: Budget;
  /** Name and version of the program. */
  readonly agent: string;
  readonly partitions?: number;
  readonly onNote?: (note: string) => void;
}

/** ms between questions about containers. */
const CONTAINERS_MS = 1000;

interface Watched {
  readonly image: string;
  /** A policy is in force for it whose document had not arrived when it was last asked for. */
  waiting: boolean;
}

/**
 * The agent's part that looks at the processes of containers: many of them, one thread, one pass over the list of processes.
 * Thread and stream begin with the first container that a policy holds for.
 */
export const memoryAgent = (options: MemoryAgentOptions): AgentPart => {
  let events: EventStream | null = null;
  return {
    head: (): ChainHead | null => events?.head ?? null,
    async run(context) {
      const { policies, partitions, onNote } = options;
      let ready = (): void => {};
      const known = new Promise<void>((resolve) => {
        ready = resolve;
      });
      let begin: (looks: ContainerLooks) => void = () => {};
      const begun = new Promise<ContainerLooks>((resolve) => {
        begin = resolve;
      });
      const open = (stop: AbortSignal): Promise<EventStream | undefined> =>
        keepTrying(
          () =>
            EventStream.open({
              log: context.log,
              topic: 'memory',
              stream: context.stream,
              host: context.host,
              stop,
              ...(onNote === undefined ? {} : { onTrouble: onNote }),
              ...(partitions === undefined ? {} : { partitions }),
            }),
          stop,
          onNote,
        );
      await together(
        context.stop,
        (stop) => policies.follow({ ...context, stop }, ready),
        async (stop) => {
          await Promise.race([known, aborted(stop)]);
          const containers = new Containers(options, context);
          await every(CONTAINERS_MS, stop, async () => {
            await containers.refresh();
            if (containers.looks !== null || !containers.wanted || stop.aborted) return;
            events = (await open(stop)) ?? null;
            if (events !== null) begin(containers.begin(events));
          });
        },
        async (stop) => {
          const looks = await Promise.race([begun, aborted(stop)]);
          await looks?.run(stop);
        },
      );
    },
  };
};

/** Which containers run, and which of them are watched by which rules. */
class Containers {
  readonly #options: MemoryAgentOptions;
  readonly #context: AgentContext;
  #running: readonly WatchedContainer[] = [];
  #trouble = false;
  readonly #watched = new Map<string, Watched>();
  #basis: string;
  #rebase: string;
  looks: ContainerLooks | null = null;

  constructor(options: MemoryAgentOptions, context: AgentContext) {
    this.#options = options;
    this.#context = context;
    this.#basis = options.policies.basis;
    this.#rebase = options.policies.rebase;
  }

  /** There is something to look at. */
  get wanted(): boolean {
    return this.#watched.size > 0;
  }

  begin(events: EventStream): ContainerLooks {
    const { budget, agent, onNote } = this.#options;
    this.looks = new ContainerLooks({
      context: this.#context,
      events,
      watched: this.#watched,
      rulesFor: (container, binary) => this.#rules(container, binary),
      budget,
      agent,
      ...(onNote === undefined ? {} : { onNote }),
    });
    return this.looks;
  }

  async refresh(): Promise<void> {
    await this.#list();
    const ids = new Set(this.#running.map(({ id }) => id));
    for (const id of [...this.#watched.keys()]) if (!ids.has(id)) this.#leave(id);
    this.#policiesMayHaveChanged();
    for (const container of this.#running) {
      if (this.#watched.has(container.id)) continue;
      const { policies, waiting } = this.#held(container.id, container.image);
      if (policies.length === 0) continue;
      this.#watched.set(container.id, { image: container.image, waiting });
      this.#options.onNote?.(`container ${container.name} is looked at: ${policies.map(({ id }) => id).join(', ')}`);
      this.looks?.joined();
    }
  }

  /** The last answer holds where there is none. Each trouble is told of once. */
  async #list(): Promise<void> {
    const { containers, onNote } = this.#options;
    try {
      this.#running = await containers();
      if (this.#trouble) onNote?.('containers can be listed again');
      this.#trouble = false;
    } catch (error) {
      if (!this.#trouble)
        onNote?.(`containers cannot be listed, which is tried again each second: ${(error as Error).message}`);
      this.#trouble = true;
    }
  }

  /** As the verifier does it: running processes keep their rules unless an assignment is meant for them, or they had none. */
  #policiesMayHaveChanged(): void {
    const { basis, rebase } = this.#options.policies;
    if (basis === this.#basis) return;
    const rebased = rebase !== this.#rebase;
    [this.#basis, this.#rebase] = [basis, rebase];
    const waited = new Set<string>();
    for (const [id, watched] of [...this.#watched]) {
      if (watched.waiting) waited.add(id);
      const { policies, waiting } = this.#held(id, watched.image);
      watched.waiting = waiting;
      if (rebased && policies.length === 0 && !waiting) this.#leave(id);
    }
    this.looks?.reconsider((container, rules) => rebased || rules === null || waited.has(container));
  }

  #leave(id: string): void {
    this.#watched.delete(id);
    this.looks?.left(id);
  }

  #rules(container: string, binary: string): LookRules | null {
    const { policies, ofBinary } = this.#held(container, this.#watched.get(container)?.image ?? '', binary);
    return lookRules(policies, ofBinary ? binary : null);
  }

  #held(container: string, image: string, binary?: string): HeldPolicies {
    return this.#options.policies.of({ host: this.#context.host, container, image }, binary);
  }
}
