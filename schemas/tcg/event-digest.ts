import { createHash, getHashes } from 'node:crypto';
import type { FirmwareEvent } from './event-log.js';

/** Names in Node's `crypto`, where they are others. */
const NODE_NAMES: Readonly<Record<string, string>> = {
  sm3_256: 'sm3',
  sha3_256: 'sha3-256',
  sha3_384: 'sha3-384',
  sha3_512: 'sha3-512',
};

const available = new Set(getHashes().map((name) => name.toLowerCase()));

/** The hash of a bank; null where there is none on this machine. */
export const bankHash = (bank: string): ((...parts: readonly Buffer[]) => Buffer) | null => {
  const name = NODE_NAMES[bank] ?? bank;
  if (!available.has(name)) return null;
  return (...parts) => {
    const hash = createHash(name);
    for (const part of parts) hash.update(part);
    return hash.digest();
  };
};

/** Whether every digest of an event whose hash is at hand, at least one, is over these bytes. */
export const isDigestOf = (event: FirmwareEvent, bytes: Buffer): boolean => {
  let checked = 0;
  for (const { bank, digest } of event.digests) {
    const hash = bankHash(bank);
    if (hash === null) continue;
    if (!hash(bytes).equals(digest)) return false;
    checked++;
  }
  return checked > 0;
};

/** Whether the PCR proves the event's data: its digests are over them, and not over something they only describe. */
export const isDataMeasured = (event: FirmwareEvent): boolean => isDigestOf(event, event.data);
