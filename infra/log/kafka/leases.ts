import type { Kafka } from 'kafkajs';
import type { Lease } from '../event-log.js';
import type { Cluster } from './cluster.js';
import { KafkaLease, type LeaseHome } from './kafka-lease.js';
import { Membership } from './membership.js';
import { TransactionalProducer } from './transaction.js';

/** What `own` needs of its log, besides the home of each lease. */
export interface Ownership {
  readonly kafka: Kafka;
  readonly cluster: Cluster;
  readonly group: string;
  /** Without and with prefix. */
  readonly topic: string;
  readonly kafkaTopic: string;
  /** Names the group and the transactional ids in Kafka. */
  readonly groupId: string;
  readonly home: Omit<LeaseHome, 'progress' | 'released'>;
}

/** How many heartbeats after a loss prove that the assignment outlived it: one may have been under way. */
const BEATS_AFTER_LOSS = 2;

/** The leases of one member of a group, and the end of its membership. */
export class Leases {
  readonly #held = new Map<number, KafkaLease>();
  /** Partitions that the caller gave back; they are not taken again by this member. */
  readonly #returned = new Set<number>();
  /** When a lease was lost although its partition is ours: what must have happened before it is opened again. */
  readonly #wait = new Map<number, { readonly beats: number; readonly joined: number }>();
  readonly #membership: Membership;
  #ended = false;

  constructor(readonly of: Ownership) {
    this.#membership = new Membership(of.kafka, of.groupId, of.kafkaTopic);
  }

  /** Each partition assigned to this member, again after its lease was lost while the partition stayed ours. */
  async *leases(stop: AbortSignal): AsyncGenerator<Lease> {
    const membership = this.#membership;
    try {
      await membership.join((assigned) => {
        for (const [partition, lease] of this.#held)
          if (!assigned.has(partition)) lease.lose('the group gave the partition to another member');
      });
      while (!stop.aborted && !this.#ended) {
        const seen = membership.version;
        const partition = this.#due();
        if (partition === undefined) await membership.changed(seen, stop);
        else {
          const lease = await this.#open(partition);
          if (lease !== null && !stop.aborted) yield lease;
        }
      }
    } finally {
      this.#ended = true;
      if (this.#held.size === 0) await membership.leave();
    }
  }

  /** Nothing is held, nothing is left to be closed. */
  get idle(): boolean {
    return this.#ended && this.#held.size === 0;
  }

  async close(): Promise<void> {
    this.#ended = true;
    for (const lease of this.#held.values()) lease.lose('the log was closed');
    this.#membership.wake();
    await this.#membership.leave();
  }

  #due(): number | undefined {
    const { assigned, beats, joined } = this.#membership;
    for (const partition of [...assigned].sort((a, b) => a - b)) {
      if (this.#held.has(partition) || this.#returned.has(partition)) continue;
      const wait = this.#wait.get(partition);
      // A lease that was fenced must not be opened again before it is certain that no rebalance gave it away: two members would
      // take it from each other in turns.
      if (wait !== undefined && joined === wait.joined && beats < wait.beats + BEATS_AFTER_LOSS) continue;
      return partition;
    }
    return undefined;
  }

  async #open(partition: number): Promise<KafkaLease | null> {
    const { cluster, group, topic, groupId, home } = this.of;
    const membership = this.#membership;
    const producer = await TransactionalProducer.open(cluster, `${groupId}.${partition}`);
    if (!membership.assigned.has(partition)) return null;
    const lease = new KafkaLease(group, topic, partition, producer, {
      ...home,
      progress: (of, next) => membership.progress(of, next),
      released: async (of) => await this.#release(of),
    });
    this.#wait.delete(partition);
    this.#held.set(partition, lease);
    lease.lost.addEventListener('abort', () => {
      if (this.#held.get(partition) === lease) this.#held.delete(partition);
      this.#wait.set(partition, { beats: membership.beats, joined: membership.joined });
      membership.wake();
    });
    return lease;
  }

  /** A member that has given back everything it was assigned leaves, so that others get it. */
  async #release(partition: number): Promise<void> {
    this.#returned.add(partition);
    this.#held.delete(partition);
    const rest = this.#ended ? [...this.#held.keys()] : [...this.#membership.assigned];
    if (rest.some((other) => !this.#returned.has(other))) return;
    this.#ended = true;
    this.#membership.wake();
    await this.#membership.leave();
  }
}
