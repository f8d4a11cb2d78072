import type { BlockReader } from './block-reader.js';
import { firstRecord } from './envelope.js';
import { OffsetTrack } from './offset-track.js';

/** Where a data file's whole blocks end. */
export interface Tail {
  /** Byte offset behind the last whole block. */
  readonly position: number;
  /** Offset of the record that would come next. */
  readonly next: number;
  /** Newest timestamp (ms) that was met, by the block; −1 if none. */
  readonly newest: number;
  /** True if a damaged block is the last one: what it held is a guess. */
  readonly damaged: boolean;
}

/** Walks block heads from the reader's position, where offset `base` is expected, to the end or to offset `stopAt`. */
export const findTail = async (blocks: BlockReader, base: number, stopAt = Number.POSITIVE_INFINITY): Promise<Tail> => {
  const track = new OffsetTrack(base);
  let newest = -1;
  for (;;) {
    const block = await blocks.next(true);
    if (typeof block === 'object') {
      const first = firstRecord(block.bytes, block.start, block.end);
      if (first !== null && track.fits(first.offset)) {
        if (first.offset >= stopAt) break;
        track.accept(first.offset, block.count);
        newest = Math.max(newest, first.timestamp);
        blocks.position = block.after;
        continue;
      }
    }
    const found = await blocks.findSync();
    if (found === null || track.guess >= stopAt) break;
    const lost = found - blocks.position;
    track.lose(lost, await blocks.claimed(lost));
    blocks.position = found;
  }
  return { position: blocks.position, next: track.guess, newest, damaged: track.broken };
};
