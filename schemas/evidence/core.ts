import { createHash } from 'node:crypto';
import { decodeRecord, encodeRecord } from '../codec.js';
import type { ChainHead, EvidenceCore, VpcrRow } from '../records.js';
import { taggedHash, u64be } from '../tagged-hash.js';

/** `prevEvidence` of a session's first core. */
export const NO_EVIDENCE: Buffer = Buffer.alloc(32);

export const encodeCore = (core: EvidenceCore): Buffer => encodeRecord('EvidenceCore', core);

/** Throws RECORD_INVALID. */
export const decodeCore = (bytes: Buffer): EvidenceCore => decodeRecord('EvidenceCore', bytes);

/** SHA-256 of a core's bytes as they were sent: the next core's `prevEvidence`. */
export const coreDigest = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

/** T(attestream/heads/1, then topic, stream, u64be seq, head of each): heads in the order in which they are sent. */
export const headsDigest = (heads: readonly ChainHead[]): Buffer =>
  taggedHash(
    'attestream/heads/1',
    ...heads.flatMap(({ topic, stream, seq, head }) => [topic, stream, u64be(Math.max(seq, 0)), head]),
  );

/** T(attestream/vpcr/1, then container, formula, value of each): rows in the order in which they are sent. */
export const vpcrDigest = (rows: readonly VpcrRow[]): Buffer =>
  taggedHash('attestream/vpcr/1', ...rows.flatMap(({ container, formula, value }) => [container, formula, value]));
