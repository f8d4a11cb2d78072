import { join } from 'node:path';
import { AttestreamError } from '../../../schemas/errors.js';
import { makeFolder } from '../../make-folder.js';
import type { Partition } from '../event-log.js';
import { Mutex } from '../mutex.js';
import { tryLock } from './flock.js';
import { LOCK_FILE, stateFolder } from './layout.js';
import { TraceLease, type TraceLeaseOptions } from './trace-lease.js';

interface Owned {
  readonly mutex: Mutex;
  lease: TraceLease | null;
}

/** What is needed beside the lock to make a lease. */
export type LeaseMaker = (
  folder: string,
  at: Partition,
) => Omit<TraceLeaseOptions, 'group' | 'at' | 'folder' | 'lock' | 'mutex' | 'released'>;

/** The leases of this process, at most one per group and partition. */
export class Ownership {
  readonly #owned = new Map<string, Owned>();

  constructor(
    private readonly root: string,
    private readonly make: LeaseMaker,
  ) {}

  /** A new lease, taken from an older one of this process if there is one; null while another process holds the lock. */
  take(group: string, topic: string, partition: number): Promise<TraceLease | null> {
    const folder = stateFolder(this.root, group, topic, partition);
    let owned = this.#owned.get(folder);
    if (owned === undefined) {
      owned = { mutex: new Mutex(), lease: null };
      this.#owned.set(folder, owned);
    }
    const slot = owned;
    return slot.mutex.run(async () => {
      const before = slot.lease;
      if (before === null) makeFolder(folder);
      const lock = before?.options.lock ?? (await tryLock(join(folder, LOCK_FILE)));
      if (lock === null) return null;
      before?.lose();
      const released = (lease: TraceLease): void => {
        if (slot.lease !== lease) return;
        slot.lease = null;
        lock.release();
      };
      const at = { topic, partition };
      try {
        slot.lease = await TraceLease.take({
          ...this.make(folder, at),
          group,
          at,
          folder,
          lock,
          mutex: slot.mutex,
          released,
        });
        return slot.lease;
      } catch (error) {
        slot.lease = null;
        lock.release();
        throw error;
      }
    });
  }

  async releaseAll(): Promise<void> {
    for (const { lease } of this.#owned.values()) {
      lease?.lose();
      await lease?.release();
    }
  }
}

export const lockedByOthers = (group: string, topic: string, partition: number, patience: number): AttestreamError =>
  new AttestreamError(
    'LOG_LOCKED',
    `another process owns ${topic}/${partition} for ${group}, for more than ${patience} ms`,
    { path: `${topic}/${partition}` },
  );
