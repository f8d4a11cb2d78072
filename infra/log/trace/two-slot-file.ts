import { closeSync, fdatasync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { AttestreamError } from '../../../schemas/errors.js';

const SLOT_BYTES = 4096;
/** u32 CRC-32 of the rest of the slot's contents, u32 length of the text, f64 sequence, then the text. */
const HEAD_BYTES = 16;

export const syncData = promisify(fdatasync);

/** Makes a folder's entries survive a power cut. */
export const syncFolder = (folder: string): void => {
  const descriptor = openSync(folder, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
};

interface Slot {
  readonly sequence: number;
  readonly text: string;
}

const parseSlot = (bytes: Buffer): Slot | null => {
  if (bytes.length < HEAD_BYTES) return null;
  const length = bytes.readUInt32LE(4);
  if (length > SLOT_BYTES - HEAD_BYTES || bytes.length < HEAD_BYTES + length) return null;
  if (crc32(bytes.subarray(4, HEAD_BYTES + length)) !== bytes.readUInt32LE(0)) return null;
  return { sequence: bytes.readDoubleLE(8), text: bytes.toString('utf8', HEAD_BYTES, HEAD_BYTES + length) };
};

const readSlots = (descriptor: number): readonly (Slot | null)[] => {
  const bytes = Buffer.alloc(2 * SLOT_BYTES);
  const size = readSync(descriptor, bytes, 0, bytes.length, 0);
  return [bytes.subarray(0, Math.min(size, SLOT_BYTES)), bytes.subarray(SLOT_BYTES, Math.max(size, SLOT_BYTES))].map(
    parseSlot,
  );
};

/** The last text that was wholly written; null where there is no such file or none in it. */
export const readTwoSlots = (path: string): string | null => {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' || (error as NodeJS.ErrnoException).code === 'ENOTDIR')
      return null;
    throw error;
  }
  try {
    const [a, b] = readSlots(descriptor);
    if (a && b) return a.sequence > b.sequence ? a.text : b.text;
    return (a ?? b)?.text ?? null;
  } finally {
    closeSync(descriptor);
  }
};

/**
 * Replaces the text so that a crash at any moment leaves the old one or the new one: two checksummed slots take turns,
 * and the newer valid one counts. Returns once the disk has it. One writer at a time.
 */
export const writeTwoSlots = async (path: string, text: string): Promise<void> => {
  const body = Buffer.from(text, 'utf8');
  if (body.length > SLOT_BYTES - HEAD_BYTES)
    throw new AttestreamError('RECORD_INVALID', `a commit names too many topics (${body.length} bytes)`, { path });
  let created = false;
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r+');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    descriptor = openSync(path, 'w+');
    created = true;
  }
  try {
    const [a, b] = readSlots(descriptor);
    const slot = (a?.sequence ?? -1) > (b?.sequence ?? -1) ? 1 : 0;
    const bytes = Buffer.alloc(HEAD_BYTES + body.length);
    bytes.writeUInt32LE(body.length, 4);
    bytes.writeDoubleLE(Math.max(a?.sequence ?? 0, b?.sequence ?? 0) + 1, 8);
    body.copy(bytes, HEAD_BYTES);
    bytes.writeUInt32LE(crc32(bytes.subarray(4)), 0);
    writeSync(descriptor, bytes, 0, bytes.length, slot * SLOT_BYTES);
    await syncData(descriptor);
  } finally {
    closeSync(descriptor);
  }
  if (created) syncFolder(dirname(path));
};
