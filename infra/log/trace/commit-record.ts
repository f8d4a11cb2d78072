import { readTwoSlots, writeTwoSlots } from './two-slot-file.js';

/** The one record that makes a commit count: written last, read first. */
export interface CommitRecord {
  readonly generation: number;
  /** Where reading goes on; −1 before the first commit. */
  readonly next: number;
  /** Committed end of each output topic's partition, as far as this group wrote it. */
  readonly ends: Readonly<Record<string, number>>;
  /** Which snapshot files count, and up to where. */
  readonly snapshots: { readonly epoch: number; readonly end: number };
}

const whole = (value: unknown): value is number => Number.isSafeInteger(value);

/** Null where nothing was ever committed, or the file is not ours. */
export const readCommit = (path: string): CommitRecord | null => {
  const text = readTwoSlots(path);
  if (text === null) return null;
  try {
    const { generation, next, ends, snapshots } = JSON.parse(text) as CommitRecord;
    if (!whole(generation) || !whole(next) || !whole(snapshots.epoch) || !whole(snapshots.end)) return null;
    if (typeof ends !== 'object' || !Object.values(ends).every(whole)) return null;
    return { generation, next, ends, snapshots };
  } catch {
    return null;
  }
};

export const writeCommit = (path: string, record: CommitRecord): Promise<void> =>
  writeTwoSlots(path, JSON.stringify(record));
