import * as zlib from 'node:zlib';
import { inflateLz4 } from './lz4.js';
import { inflateSnappy } from './snappy.js';

/** One record batch may inflate to this much: a hostile one must not choose our memory. */
export const MAX_INFLATED_BYTES = 64 * 1024 * 1024;

type Inflate = (bytes: Buffer) => Buffer;

/** From Node 22.15 on. */
const zstd = (zlib as { zstdDecompressSync?: (bytes: Buffer, options: { maxOutputLength: number }) => Buffer })
  .zstdDecompressSync;

/** By the codec number in a record batch's attributes. */
const CODECS: readonly { readonly name: string; readonly inflate: Inflate | null }[] = [
  { name: 'none', inflate: (bytes) => bytes },
  { name: 'gzip', inflate: (bytes) => zlib.gunzipSync(bytes, { maxOutputLength: MAX_INFLATED_BYTES }) },
  { name: 'snappy', inflate: (bytes) => inflateSnappy(bytes, MAX_INFLATED_BYTES) },
  { name: 'lz4', inflate: (bytes) => inflateLz4(bytes, MAX_INFLATED_BYTES) },
  {
    name: 'zstd',
    inflate: zstd === undefined ? null : (bytes) => zstd(bytes, { maxOutputLength: MAX_INFLATED_BYTES }),
  },
];

/** The records of a batch, inflated to at most MAX_INFLATED_BYTES. Throws an Error that says why not. */
export const inflate = (codec: number, bytes: Buffer): Buffer => {
  const known = CODECS[codec];
  if (known === undefined) throw new Error(`compression codec ${codec} is not known`);
  if (known.inflate === null) throw new Error(`${known.name} needs Node 22.15 or newer`);
  try {
    return known.inflate(bytes);
  } catch (cause) {
    throw new Error(`${known.name} data cannot be inflated: ${(cause as Error).message}`, { cause });
  }
};
