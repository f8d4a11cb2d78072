/*
 * Bytes compared and hashed four at a time. Records are read from one large buffer after the other, so the view over the
 * buffer that was asked for last is kept: asking for it again costs one comparison.
 */

let last: Uint8Array = new Uint8Array(0);
let view = new DataView(last.buffer);

/** A view over exactly these bytes. */
export const viewOf = (bytes: Uint8Array): DataView => {
  if (bytes !== last) {
    view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    last = bytes;
  }
  return view;
};

/** The one to three bytes behind the last whole word. */
const tailOf = (from: DataView, start: number, end: number): number => {
  let word = from.getUint8(start);
  if (start + 1 < end) word |= from.getUint8(start + 1) << 8;
  if (start + 2 < end) word |= from.getUint8(start + 2) << 16;
  return word;
};

/** 31 bits. Not keyed: who can choose the bytes can only slow down their own partition. */
export const hashOf = (from: DataView, start: number, end: number): number => {
  let hash = end - start;
  let i = start;
  for (; i + 4 <= end; i += 4) {
    hash = Math.imul(hash ^ from.getInt32(i, true), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  if (i < end) {
    hash = Math.imul(hash ^ tailOf(from, i, end), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return (hash ^ (hash >>> 13)) & 0x7fffffff;
};

/** Bytes [start, end) as little-endian words, the last one filled up with zeros. Their length has to be kept beside. */
export const wordsOf = (from: DataView, start: number, end: number): Int32Array => {
  const words = new Int32Array((end - start + 3) >> 2);
  let i = start;
  let n = 0;
  for (; i + 4 <= end; i += 4) words[n++] = from.getInt32(i, true);
  if (i < end) words[n] = tailOf(from, i, end);
  return words;
};

/** Whether bytes [start, end) are these words; their lengths in bytes are equal already. */
export const areWords = (words: Int32Array, from: DataView, start: number, end: number): boolean => {
  let i = start;
  let n = 0;
  for (; i + 4 <= end; i += 4) if (words[n++] !== from.getInt32(i, true)) return false;
  return i === end || words[n] === tailOf(from, i, end);
};

/** Copies bytes [start, end) to `at`: for what is short, and has no view of its own yet. */
export const copyWords = (from: DataView, start: number, end: number, to: DataView, at: number): void => {
  let i = start;
  let o = at;
  for (; i + 4 <= end; i += 4, o += 4) to.setInt32(o, from.getInt32(i, true), true);
  for (; i < end; i++, o++) to.setUint8(o, from.getUint8(i));
};
