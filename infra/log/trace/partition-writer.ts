import { readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { AttestreamError } from '../../../schemas/errors.js';
import { makeFolder } from '../../make-folder.js';
import type { Entry } from '../event-log.js';
import { Mutex } from '../mutex.js';
import { DataWriter, type DataWriterOptions } from './data-writer.js';
import { type FileLock, tryLock } from './flock.js';
import { LOCK_FILE } from './layout.js';
import { isGoverned, visibleEnd, writeEnd } from './visible-end.js';

const ID_BYTES = 16;
const FIRST_SLEEP = 1;
const LAST_SLEEP = 50;

export interface PartitionWriterOptions extends DataWriterOptions {
  /** The trace's folder. */
  readonly root: string;
  /** 16 bytes that tell this log from every other writer. */
  readonly id: Buffer;
  /** How long to wait for another process's lock, in ms. */
  readonly patience: number;
  readonly check: () => void;
}

/**
 * Writes to one partition under its lock. The lock is taken for each piece of work, so that several processes may write
 * in turn; who finds that another was here in between looks at the files again.
 */
export class PartitionWriter {
  readonly #mutex = new Mutex();
  #data: DataWriter | null = null;

  constructor(private readonly options: PartitionWriterOptions) {}

  /** First offset, once written. Where leases write too, the new end is made to count before this returns. */
  append(entries: readonly Entry[]): Promise<number> {
    return this.locked(async (data) => {
      const first = data.write(entries);
      if (isGoverned(this.options.folder)) {
        await data.sync();
        await writeEnd(this.options.folder, data.next);
      }
      return first;
    });
  }

  /** Runs `work` as the partition's only writer. If it throws, what it wrote is cut off before the next work begins. */
  locked<T>(work: (data: DataWriter) => Promise<T>): Promise<T> {
    return this.#mutex.run(async () => {
      this.options.check();
      if (this.#data === null) makeFolder(this.options.folder);
      const lock = await takeLock(join(this.options.folder, LOCK_FILE), this.options);
      try {
        if (!this.#isOurs(lock)) this.#forget();
        const { root, folder, topic, partition } = this.options;
        this.#data ??= await DataWriter.recover(this.options, visibleEnd(root, folder, topic, partition));
        return await work(this.#data);
      } catch (error) {
        this.#forget();
        throw error;
      } finally {
        lock.release();
      }
    });
  }

  /** From now on only what is committed counts here. */
  async govern(data: DataWriter): Promise<void> {
    if (isGoverned(this.options.folder)) return;
    await data.sync();
    await writeEnd(this.options.folder, data.next);
  }

  async close(): Promise<void> {
    await this.#mutex.run(async () => this.#forget());
  }

  /** Whether nobody else wrote since we did; from now on we are the last. */
  #isOurs(lock: FileLock): boolean {
    const last = Buffer.alloc(ID_BYTES);
    readSync(lock.descriptor, last, 0, ID_BYTES, 0);
    if (last.equals(this.options.id)) return true;
    writeSync(lock.descriptor, this.options.id, 0, ID_BYTES, 0);
    return false;
  }

  #forget(): void {
    this.#data?.close();
    this.#data = null;
  }
}

/** Waits for a lock file. Throws LOG_LOCKED when patience ends. */
const takeLock = async (path: string, { patience, check }: PartitionWriterOptions): Promise<FileLock> => {
  const since = performance.now();
  for (let sleep = FIRST_SLEEP; ; sleep = Math.min(LAST_SLEEP, 2 * sleep)) {
    const lock = await tryLock(path);
    if (lock !== null) return lock;
    check();
    if (performance.now() - since > patience)
      throw new AttestreamError('LOG_LOCKED', `another process has held ${path} for ${patience} ms`, { path });
    await new Promise((resolve) => setTimeout(resolve, sleep));
  }
};
