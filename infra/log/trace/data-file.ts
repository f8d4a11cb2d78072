import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { SchemaTable } from '../../../schemas/codec.js';
import { AttestreamError } from '../../../schemas/errors.js';
import { type ContainerHeader, MAX_HEADER_BYTES, parseHeader } from './container.js';

/** A data file opened for reading. */
export interface OpenDataFile {
  readonly path: string;
  readonly descriptor: number;
  readonly inode: number;
  readonly header: ContainerHeader;
}

/**
 * Opens a data file; null where its writer has not finished the header (or was interrupted), or it is gone.
 * Throws TRACE_FOREIGN or TRACE_CORRUPT.
 */
export const openDataFile = (path: string, table: SchemaTable): OpenDataFile | null => {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    const { size, ino } = fstatSync(descriptor);
    let read = 0;
    let bytes = Buffer.alloc(0);
    while (read < size) {
      const want = Math.min(size, Math.max(65_536, 2 * read), MAX_HEADER_BYTES);
      bytes = Buffer.alloc(want);
      read = readSync(descriptor, bytes, 0, want, 0);
      // A file system may keep the size but lose the contents of a file that was new when the power went.
      if (bytes.length >= 4 && bytes.readUInt32LE(0) === 0) break;
      const header = parseHeader(bytes.subarray(0, read), path, table);
      if (header !== null) return { path, descriptor, inode: ino, header };
      if (want === MAX_HEADER_BYTES)
        throw new AttestreamError('TRACE_CORRUPT', `the header of ${path} exceeds ${MAX_HEADER_BYTES} bytes`, { path });
      if (read < want) break;
    }
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  closeSync(descriptor);
  return null;
};
