import 'reflect-metadata';
import { createHash, createPublicKey, X509Certificate as DerCertificate, type KeyObject } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  X509Certificate,
} from '@peculiar/x509';
import { AttestreamError } from '../../../schemas/errors.js';

/** EK certificates have 1 to 2 KB; the largest seen has 4. */
export const MAX_CERTIFICATE = 16 * 1024;

/** Extensions whose meaning is known here, by their identifiers. Any other one that is critical spoils a certificate. */
const UNDERSTOOD = new Set([
  '2.5.29.9', // subject directory attributes: which specification the TPM follows
  '2.5.29.14', // subject key identifier
  '2.5.29.15', // key usage
  '2.5.29.17', // subject alternative name: manufacturer, model and version as a directory name
  '2.5.29.19', // basic constraints
  '2.5.29.31', // where revocation lists are: not fetched
  '2.5.29.32', // policies: none is demanded
  '2.5.29.35', // authority key identifier
  '2.5.29.37', // extended key usage
  '1.3.6.1.5.5.7.1.1', // where issuers are: not fetched
]);

/** A certificate as far as a chain of trust goes. */
export interface Certificate {
  /** As received, without what follows it in a TPM's memory. */
  readonly bytes: Buffer;
  /** hex SHA-256 of `bytes` */
  readonly fingerprint: string;
  /** hex of the encoded names: names are compared as they are encoded. */
  readonly subject: string;
  readonly issuer: string;
  /** For people. */
  readonly subjectText: string;
  /** ms */
  readonly notBefore: number;
  readonly notAfter: number;
  /** Basic constraints; null: none. */
  readonly constraints: { readonly ca: boolean; readonly pathLength: number | null } | null;
  /** Key usages; null: not restricted. */
  readonly usages: { readonly certSign: boolean } | null;
  /** Extended key usages; null: not restricted. */
  readonly purposes: readonly string[] | null;
  /** Identifiers of critical extensions that are not understood. */
  readonly unknownCritical: readonly string[];
  /** Encoded more loosely than DER allows. */
  readonly loose: boolean;
  /** SubjectPublicKeyInfo */
  readonly spki: Buffer;
  /** True if the holder of `issuer`'s key signed this certificate. */
  signedBy(issuer: Certificate): Promise<boolean>;
}

const invalid = (why: string, path: string | undefined, cause?: unknown): AttestreamError =>
  new AttestreamError('CERTIFICATE_INVALID', why, path === undefined ? {} : { path }, { cause });

/** Contents of the DER element at `from`: [begin, end). null if it does not lie within the bytes. */
const element = (bytes: Buffer, from: number, tag: number): readonly [number, number] | null => {
  if (bytes[from] !== tag) return null;
  const first = bytes[from + 1] ?? 0x80;
  const wide = first & 0x80 ? first & 0x7f : 0;
  if (first === 0x80 || wide > 3) return null;
  let length = wide === 0 ? first : 0;
  for (let i = 0; i < wide; i++) length = length * 256 + (bytes[from + 2 + i] ?? 0);
  const begin = from + 2 + wide;
  return begin + length <= bytes.length ? [begin, begin + length] : null;
};

const SEQUENCE = 0x30;
const BIT_STRING = 0x03;

/** A certificate stands in a TPM's memory with padding behind it. */
const unpadded = (bytes: Buffer): Buffer => {
  const whole = element(bytes, 0, SEQUENCE);
  return whole === null ? bytes : bytes.subarray(0, whole[1]);
};

const isDer = (bytes: Buffer): boolean => {
  try {
    new DerCertificate(bytes);
    return true;
  } catch {
    return false;
  }
};

/** Reads one certificate in DER, or in what passes for it. Throws CERTIFICATE_INVALID. */
export const readCertificate = (raw: Buffer, path?: string): Certificate => {
  if (raw.length === 0 || raw.length > MAX_CERTIFICATE)
    throw invalid(`a certificate of ${raw.length} bytes is refused (limit ${MAX_CERTIFICATE})`, path);
  const bytes = Buffer.from(unpadded(raw));
  try {
    return describe(bytes);
  } catch (cause) {
    throw invalid(`not a certificate: ${(cause as Error).message}`, path, cause);
  }
};

const PEM = /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----([^-]+)-----END/g;
/** Certificates in one file. */
const MAX_IN_FILE = 256;

/** All certificates of a file: PEM, any number of them, or DER, one. Throws CERTIFICATE_INVALID. */
export const readCertificates = (file: Buffer, path?: string): readonly Certificate[] => {
  const blocks = [...file.toString('latin1').matchAll(PEM)].map((match) => Buffer.from(match[1] ?? '', 'base64'));
  if (blocks.length > MAX_IN_FILE)
    throw invalid(`${blocks.length} certificates in one file (limit ${MAX_IN_FILE})`, path);
  return (blocks.length === 0 ? [file] : blocks).map((block) => readCertificate(block, path));
};

const describe = (bytes: Buffer): Certificate => {
  const parsed = new X509Certificate(new Uint8Array(bytes));
  const constraints = parsed.getExtension(BasicConstraintsExtension);
  const usages = parsed.getExtension(KeyUsagesExtension);
  const purposes = parsed.getExtension(ExtendedKeyUsageExtension);
  const hex = (buffer: ArrayBuffer): string => Buffer.from(buffer).toString('hex');
  const certificate = {
    bytes,
    fingerprint: createHash('sha256').update(bytes).digest('hex'),
    subject: hex(parsed.subjectName.toArrayBuffer()),
    issuer: hex(parsed.issuerName.toArrayBuffer()),
    subjectText: parsed.subject,
    notBefore: parsed.notBefore.getTime(),
    notAfter: parsed.notAfter.getTime(),
    constraints: constraints === null ? null : { ca: constraints.ca, pathLength: constraints.pathLength ?? null },
    usages: usages === null ? null : { certSign: (usages.usages & KeyUsageFlags.keyCertSign) !== 0 },
    purposes: purposes === null ? null : purposes.usages.map(String),
    unknownCritical: parsed.extensions
      .filter(({ critical, type }) => critical && !UNDERSTOOD.has(type))
      .map(({ type }) => type),
    loose: !isDer(bytes),
    spki: Buffer.from(parsed.publicKey.rawData),
  };
  return {
    ...certificate,
    async signedBy(issuer) {
      try {
        return await parsed.verify({ publicKey: new Uint8Array(issuer.spki), signatureOnly: true });
      } catch {
        return false;
      }
    },
  };
};

/**
 * The key in a certificate. Some makers label an RSA key as usable for OAEP alone, which OpenSSL does not take for a key:
 * the key itself is the same. Throws CERTIFICATE_INVALID.
 */
export const certificateKey = ({ spki, subjectText }: Certificate): KeyObject => {
  try {
    return createPublicKey({ key: spki, format: 'der', type: 'spki' });
  } catch (cause) {
    const whole = element(spki, 0, SEQUENCE);
    const algorithm = whole === null ? null : element(spki, whole[0], SEQUENCE);
    const bits = algorithm === null ? null : element(spki, algorithm[1], BIT_STRING);
    try {
      if (bits !== null)
        return createPublicKey({ key: spki.subarray(bits[0] + 1, bits[1]), format: 'der', type: 'pkcs1' });
    } catch {
      // Neither: the first complaint says more.
    }
    throw invalid(`the key of ${subjectText} is of no usable kind: ${(cause as Error).message}`, undefined, cause);
  }
};
