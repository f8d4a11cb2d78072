import { createHash } from 'node:crypto';
import { taggedHash } from '../tagged-hash.js';

/** T(attestream/certify/1, host, leaves…): what AIK1 signs when it vouches for AIK2. Leaves as they are sent, which is sorted. */
export const certifyQualifyingData = (host: string, leaves: readonly Uint8Array[]): Buffer =>
  taggedHash('attestream/certify/1', host, ...leaves);

/** T(attestream/quote/1, host, SHA-256(core)): what AIK2 signs beside the registers. */
export const quoteQualifyingData = (host: string, core: Uint8Array): Buffer =>
  taggedHash('attestream/quote/1', host, createHash('sha256').update(core).digest());
