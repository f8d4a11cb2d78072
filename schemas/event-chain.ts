import { taggedHash, u64be } from './tagged-hash.js';

/** c₋₁: what a stream's chain of events starts from. */
export const CHAIN_START: Buffer = Buffer.alloc(32);

/**
 * cₙ = T(attestream/chain/1, cₙ₋₁, u64be seq, topic, fingerprint, body): the head of a stream's events in one topic.
 * @param topic without prefix
 * @param fingerprint CRC-64-AVRO of the writer schema, 8 bytes little-endian
 * @param body Avro body without any wire header, whose schema id would be the registry's own
 */
export const nextChainHead = (
  head: Uint8Array,
  seq: number,
  topic: string,
  fingerprint: Uint8Array,
  body: Uint8Array,
): Buffer => taggedHash('attestream/chain/1', head, u64be(seq), topic, fingerprint, body);
