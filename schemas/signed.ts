import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { encodeRecord } from './codec.js';
import { AttestreamError } from './errors.js';
import type { Records } from './records.js';
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

/** Records that controllers, operators and processors say: worth nothing without a signature by a pinned key. */
export const SIGNED_RECORDS = [
  'Tick',
  'Assignment',
  'Approval',
  'Revoked',
  'EnrolChallenge',
  'Enrolled',
  'Request',
  'Checkpoint',
  'Receipt',
] as const;

export type SignedName = (typeof SIGNED_RECORDS)[number];

export const isSignedName = (name: string): name is SignedName => (SIGNED_RECORDS as readonly string[]).includes(name);

const message = <N extends SignedName>(name: N, record: Records[N]): Buffer =>
  taggedHash(`attestream/${name}/1`, encodeRecord(name, { ...record, signature: NO_SIGNATURE }));

/** A record before it is signed: who says it and the signature are yet to come. */
export type Unsigned<N extends SignedName> = Omit<Records[N], 'verifierId' | 'signature'> & {
  readonly verifierId?: Buffer;
  readonly signature?: Buffer;
};

/** The record with `verifierId` and Ed25519 signature of `key` over T(attestream/NAME/1, body with an empty signature). */
export const signRecord = <N extends SignedName>(name: N, record: Unsigned<N>, key: KeyObject): Records[N] => {
  const named = { ...record, verifierId: verifierId(key), signature: NO_SIGNATURE } as unknown as Records[N];
  return { ...named, signature: sign(null, message(name, named), key) };
};

/** Public keys that a fold believes, by verifier id in hex. */
export type PinnedKeys = ReadonlyMap<string, KeyObject>;

export const pinnedKeys = (keys: readonly KeyObject[]): PinnedKeys =>
  new Map(keys.map((key) => [verifierId(key).toString('hex'), key.type === 'private' ? createPublicKey(key) : key]));

/** True if a pinned key signed exactly this record. */
export const isSigned = <N extends SignedName>(name: N, record: Records[N], keys: PinnedKeys): boolean => {
  const key = keys.get(record.verifierId.toString('hex'));
  return key !== undefined && verify(null, message(name, record), key, record.signature);
};
