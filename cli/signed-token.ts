import { createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { AttestreamError } from '../schemas/errors.js';

/** A private key on P-256 in PEM. Throws USAGE. */
export const readEarKey = (path: string): KeyObject => {
  try {
    const key = createPrivateKey(readFileSync(path, 'utf8'));
    if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw new Error('not a key on P-256');
    return key;
  } catch (cause) {
    throw new AttestreamError('USAGE', `not a private key in PEM: ${(cause as Error).message}`, { path }, { cause });
  }
};

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Claims as a JWT (RFC 7519) signed with ES256 (RFC 7518, 3.4). */
export const signedToken = (claims: object, key: KeyObject): string => {
  const input = `${part({ alg: 'ES256', typ: 'JWT' })}.${part(claims)}`;
  const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
};
