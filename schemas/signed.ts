import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { encodeRecord } from './codec.js';
import { AttestreamError } from './errors.js';
import type { Assignment, Tick } from './records.js';
import { taggedHash } from './tagged-hash.js';

const NO_SIGNATURE = Buffer.alloc(0);

/** SHA-256 over the key's SPKI: the name by which a verifier's key is pinned. 32 bytes. */
export const verifierId = (key: KeyObject): Buffer => {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  if (publicKey.asymmetricKeyType !== 'ed25519')
    throw new AttestreamError('USAGE', `a controller's key is Ed25519, not ${publicKey.asymmetricKeyType}`);
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest();
};

const message = (name: 'Tick' | 'Assignment', record: Tick | Assignment): Buffer =>
  taggedHash(`attestream/${name}/1`, encodeRecord(name, { ...record, signature: NO_SIGNATURE } as never));

/** The record with `verifierId` and Ed25519 signature of `key` over T(attestream/NAME/1, body with an empty signature). */
export const signRecord = <N extends 'Tick' | 'Assignment', R extends Tick | Assignment>(
  name: N,
  record: R,
  key: KeyObject,
): R => {
  const named = { ...record, verifierId: verifierId(key) };
  return { ...named, signature: sign(null, message(name, named), key) };
};

/** Public keys that a fold believes, by verifier id in hex. */
export type PinnedKeys = ReadonlyMap<string, KeyObject>;

export const pinnedKeys = (keys: readonly KeyObject[]): PinnedKeys =>
  new Map(keys.map((key) => [verifierId(key).toString('hex'), key.type === 'private' ? createPublicKey(key) : key]));

/** True if a pinned key signed exactly this record. */
export const isSigned = (name: 'Tick' | 'Assignment', record: Tick | Assignment, keys: PinnedKeys): boolean => {
  const key = keys.get(record.verifierId.toString('hex'));
  return key !== undefined && verify(null, message(name, record), key, record.signature);
};
