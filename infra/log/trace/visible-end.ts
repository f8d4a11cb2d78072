import { join } from 'node:path';
import { readCommit } from './commit-record.js';
import { commitFiles, ENDS_FILE, exists } from './layout.js';
import { readTwoSlots, writeTwoSlots } from './two-slot-file.js';

/** Says that leases write this partition, and up to where plain appends have reached. */
export const writeEnd = (folder: string, end: number): Promise<void> =>
  writeTwoSlots(join(folder, ENDS_FILE), String(end));

/** True once a lease has ever written here: then only what a commit names counts. */
export const isGoverned = (folder: string): boolean => exists(join(folder, ENDS_FILE));

/** Committed end of a partition that leases write; null where every whole block counts. */
export const visibleEnd = (root: string, folder: string, topic: string, partition: number): number | null => {
  if (!isGoverned(folder)) return null;
  let end = Number(readTwoSlots(join(folder, ENDS_FILE)) ?? 0);
  for (const path of commitFiles(root, partition)) {
    const ends = readCommit(path)?.ends;
    if (ends !== undefined && Object.hasOwn(ends, topic)) end = Math.max(end, ends[topic]!);
  }
  return end;
};
