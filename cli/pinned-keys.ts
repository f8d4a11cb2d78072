import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { AttestreamError } from '../schemas/errors.js';

const readKey = (path: string, make: (pem: string) => KeyObject, what: string): KeyObject => {
  try {
    const key = make(readFileSync(path, 'utf8'));
    if (key.asymmetricKeyType !== 'ed25519') throw new Error(`an ${key.asymmetricKeyType} key, not Ed25519`);
    return key;
  } catch (cause) {
    throw new AttestreamError('USAGE', `not ${what}: ${(cause as Error).message}`, { path }, { cause });
  }
};

/** An Ed25519 public key, or the public half of a private one, in PEM. Throws USAGE. */
export const readPublicKey = (path: string): KeyObject =>
  readKey(path, (pem) => createPublicKey(pem), 'a public key in PEM');

/** An Ed25519 private key in PEM. Throws USAGE. */
export const readPrivateKey = (path: string): KeyObject =>
  readKey(path, (pem) => createPrivateKey(pem), 'a private key in PEM');
