import { closeSync, statSync } from 'node:fs';
import type { Bounds } from '../event-log.js';
import { BlockReader } from './block-reader.js';
import { openDataFile } from './data-file.js';
import { dataFiles } from './layout.js';
import { type Readable, readPartition } from './partition-reader.js';
import { findTail } from './tail.js';

/** First offset and committed end of a partition: the end is looked for in the last file alone, by its block heads. */
export const boundsOf = async (source: Readable): Promise<Bounds> => {
  const committed = source.visibleEnd();
  const files = dataFiles(source.folder);
  const first = files[0]?.base ?? 0;
  if (committed !== null) return { first: Math.min(first, committed), end: committed };
  let torn: { readonly torn?: number } = {};
  for (const { path, base } of files.reverse()) {
    const opened = openDataFile(path, source.schemas);
    // A file without a whole header has no records, but its name says where they would begin.
    if (opened === null) {
      const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
      // Of a file that was only just begun nothing is missing, unless it is the first.
      if (size > 0 || base === first) torn = { torn: size };
      if (base > first) return { first, end: base, ...torn };
      continue;
    }
    const blocks = new BlockReader(opened);
    try {
      const start = source.index.before(path, opened.inode, Number.POSITIVE_INFINITY);
      if (start !== null) blocks.position = start.position;
      const tail = await findTail(blocks, start?.offset ?? base);
      return { first, end: tail.next, ...(blocks.remaining > 0 ? { torn: blocks.remaining } : torn) };
    } finally {
      blocks.close();
    }
  }
  return { first, end: first, ...torn };
};

/**
 * Offset of the first record stamped at or after `timestampMs`; the end if there is none.
 * Each file's head says how new its predecessors are, so that only one file is read through.
 */
export const offsetOfTime = async (source: Readable, timestampMs: number): Promise<number> => {
  const { first, end } = await boundsOf(source);
  const files = dataFiles(source.folder);
  let low = 0;
  let high = files.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    const opened = openDataFile(files[middle]!.path, source.schemas);
    if (opened !== null) closeSync(opened.descriptor);
    if (opened !== null && opened.header.newest < timestampMs) low = middle;
    else high = middle - 1;
  }
  for await (const batch of readPartition(source, files[low]?.base ?? first, end))
    for (let i = 0; i < batch.length; i++) if (batch.timestamps[i]! >= timestampMs) return batch.offsets[i]!;
  return end;
};
