import { createHash, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { AttestreamError } from '../errors.js';
import { CURVES, type Curve, isOnCurve, type Point } from './elliptic-curve.js';

/** A public key that file signatures are checked with. */
export interface SigningKey {
  /** Last 4 bytes of its subject key identifier in hex, by which a signature names it; a certificate may state another one. */
  readonly ids: readonly string[];
  readonly kind: 'rsa' | 'ec';
  readonly key: KeyObject;
  /** For ECDSA. */
  readonly curve: Curve | null;
  readonly point: Point | null;
}

const SUBJECT_KEY_IDENTIFIER = Buffer.from('0603551d0e', 'hex');

/** The identifier that a certificate states: OID, OCTET STRING around an OCTET STRING. */
const statedIdentifier = (certificate: Buffer): Buffer | null => {
  const at = certificate.indexOf(SUBJECT_KEY_IDENTIFIER);
  if (at < 0) return null;
  const outer = at + SUBJECT_KEY_IDENTIFIER.length;
  const length = certificate[outer + 3] ?? 0;
  if (certificate[outer] !== 4 || certificate[outer + 2] !== 4 || certificate[outer + 1] !== length + 2) return null;
  const id = certificate.subarray(outer + 4, outer + 4 + length);
  return id.length === length && length >= 4 && length < 126 ? id : null;
};

/** What of a SubjectPublicKeyInfo is the key itself: the content of its BIT STRING, which stands at the end. */
const publicKeyBits = (key: KeyObject): Buffer => {
  if (key.asymmetricKeyType === 'rsa') return key.export({ type: 'pkcs1', format: 'der' });
  const spki = key.export({ type: 'spki', format: 'der' });
  const curve = CURVES[key.asymmetricKeyDetails?.namedCurve ?? '']!;
  return spki.subarray(spki.length - (1 + 2 * curve.bytes));
};

const parse = (bytes: Buffer): { readonly key: KeyObject; readonly stated: Buffer | null } => {
  const pem = bytes.toString('latin1', 0, 64).trimStart().startsWith('-----BEGIN');
  try {
    const certificate = new X509Certificate(bytes);
    return { key: certificate.publicKey, stated: statedIdentifier(certificate.raw) };
  } catch {
    return {
      key: createPublicKey(pem ? bytes.toString('latin1') : { key: bytes, format: 'der', type: 'spki' }),
      stated: null,
    };
  }
};

/**
 * Reads a certificate or a public key (SubjectPublicKeyInfo), DER or PEM: RSA, or ECDSA over P-192, P-256, P-384, P-521.
 * Throws USAGE for anything else.
 */
export const signingKey = (bytes: Buffer, path?: string): SigningKey => {
  const place = path === undefined ? {} : { path };
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(bytes);
  } catch (cause) {
    throw new AttestreamError(
      'USAGE',
      'not a certificate and not a public key (DER or PEM) that file signatures could be checked with',
      place,
      { cause },
    );
  }
  const { key, stated } = parsed;
  const kind = key.asymmetricKeyType;
  const curve = CURVES[key.asymmetricKeyDetails?.namedCurve ?? ''] ?? null;
  if (kind !== 'rsa' && !(kind === 'ec' && curve !== null))
    throw new AttestreamError(
      'USAGE',
      `a key of type ${kind ?? 'unknown'} cannot check file signatures; RSA and ECDSA over P-192 to P-521 can`,
      place,
    );
  const bits = publicKeyBits(key);
  const point: Point | null =
    curve === null || kind !== 'ec'
      ? null
      : [BigInt(`0x${bits.toString('hex', 1, 1 + curve.bytes)}`), BigInt(`0x${bits.toString('hex', 1 + curve.bytes)}`)];
  if (point !== null && (bits[0] !== 4 || !isOnCurve(curve!, point)))
    throw new AttestreamError('USAGE', 'the public key is not a point of its curve', place);
  const computed = createHash('sha1').update(bits).digest();
  const ids = [
    ...new Set([computed, ...(stated === null ? [] : [stated])].map((id) => id.toString('hex', id.length - 4))),
  ];
  return { ids, kind, key, curve: kind === 'ec' ? curve : null, point };
};
