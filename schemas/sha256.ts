import crypto from 'node:crypto';

/** Node 20.12 and later hash in one call, at half the cost of a hash object for what is short. */
const oneShot = (crypto as { hash?: typeof crypto.hash }).hash;

/** SHA-256 of bytes that are in one piece. */
export const sha256: (bytes: Uint8Array) => Buffer =
  oneShot === undefined
    ? (bytes) => crypto.createHash('sha256').update(bytes).digest()
    : // By way of text: a digest as a buffer of its own costs more than the hash.
      (bytes) => Buffer.from(oneShot('sha256', bytes, 'binary'), 'latin1');

/** Writes the SHA-256 of `bytes` over `target`, which may lie in them, without a buffer for it. */
export const sha256Into: (bytes: Uint8Array, target: Buffer) => void =
  oneShot === undefined
    ? (bytes, target) => {
        target.set(sha256(bytes));
      }
    : (bytes, target) => {
        const digest = oneShot('sha256', bytes, 'binary');
        // Calling into the runtime costs more than the few bytes.
        for (let i = 0; i < 32; i++) target[i] = digest.charCodeAt(i);
      };
