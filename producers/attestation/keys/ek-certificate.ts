import { open } from 'node:fs/promises';
import { AttestreamError } from '../../../schemas/errors.js';
import { TpmCommandError } from '../tpm/command.js';
import { nvRead } from '../tpm/nv.js';
import { type Authorisation, password } from '../tpm/session.js';
import type { Tpm } from '../tpm/tpm.js';

/** Where makers keep the chain above their endorsement certificates (Intel's on-die authority, and others). */
const CHAIN_FIRST = 0x01c00100;
const CHAIN_LAST = 0x01c001ff;
/** More than any chain has; a TPM's whole NV memory is smaller. */
const MAX_CERTIFICATES = 16;
const MAX_FILE = 1_048_576;

/**
 * Bytes of the DER value that begins here, by its own header: SEQUENCE, length in one to four bytes. Null if no
 * certificate begins here or the header is cut off.
 */
export const derLength = (bytes: Buffer): number | null => {
  if (bytes.length < 2 || bytes[0] !== 0x30) return null;
  const first = bytes[1]!;
  if (first < 0x80) return 2 + first;
  const count = first & 0x7f;
  if (count < 1 || count > 4 || bytes.length < 2 + count) return null;
  return 2 + count + bytes.readUIntBE(2, count);
};

/** Certificates one behind the other; what follows the last (an index is often larger than its content) is left out. */
export const splitCertificates = (bytes: Buffer): readonly Buffer[] => {
  const found: Buffer[] = [];
  for (let at = 0; found.length < MAX_CERTIFICATES; ) {
    const length = derLength(bytes.subarray(at));
    if (length === null || length > bytes.length - at) break;
    found.push(bytes.subarray(at, at + length));
    at += length;
  }
  return found;
};

/**
 * The certificate at an NV index, without the padding behind it; null if there is none. One that is longer than its
 * index goes on in the indices that follow. Throws TPM_BLOB_INVALID for what is no certificate, or is cut off.
 */
export const certificateFromNv = async (
  tpm: Tpm,
  index: number,
  owner: Authorisation = password(),
): Promise<Buffer | null> => {
  const first = await nvRead(tpm, index, owner);
  if (first === null) return null;
  const length = derLength(first);
  const text = `NV index 0x${index.toString(16)}`;
  if (length === null) throw new AttestreamError('TPM_BLOB_INVALID', `${text} holds no certificate`, { offset: 0 });
  const parts = [first];
  for (let have = first.length, next = index + 1; have < length; next++) {
    const more = parts.length < MAX_CERTIFICATES ? await nvRead(tpm, next, owner) : null;
    if (more === null || more.length === 0)
      throw new AttestreamError('TPM_BLOB_INVALID', `${text}: its certificate of ${length} bytes ends after ${have}`, {
        offset: have,
      });
    parts.push(more);
    have += more.length;
  }
  return Buffer.concat(parts).subarray(0, length);
};

/** The certificates that the maker keeps above the endorsement certificate, in the order of the indices. */
export const chainFromNv = async (
  tpm: Tpm,
  nv: ReadonlySet<number>,
  owner: Authorisation = password(),
): Promise<readonly Buffer[]> => {
  const parts: Buffer[] = [];
  const indices = [...nv].filter((index) => index >= CHAIN_FIRST && index <= CHAIN_LAST).sort((a, b) => a - b);
  for (const index of indices) {
    try {
      parts.push((await nvRead(tpm, index, owner)) ?? Buffer.alloc(0));
    } catch (error) {
      // One that may not be read is no reason to do without the others: whoever verifies may have it from elsewhere.
      if (!(error instanceof TpmCommandError)) throw error;
    }
  }
  return chainOf(parts);
};

/**
 * Certificates out of the contents of consecutive indices. One may run on from index to index; where a new one begins
 * at an index, the rest of the index before was padding.
 */
const chainOf = (parts: readonly Buffer[]): readonly Buffer[] => {
  const found: Buffer[] = [];
  let open = Buffer.alloc(0);
  for (const part of parts) {
    open = Buffer.concat([open, part]);
    const whole = splitCertificates(open);
    found.push(...whole);
    const rest = open.subarray(whole.reduce((sum, { length }) => sum + length, 0));
    open = derLength(rest) === null ? Buffer.alloc(0) : rest;
  }
  return found.slice(0, MAX_CERTIFICATES);
};

const PEM = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/g;

/** At most MAX_FILE bytes of a file, which may be anything. */
const readBounded = async (path: string): Promise<Buffer> => {
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.alloc(MAX_FILE);
    let length = 0;
    for (let read = -1; read !== 0 && length < MAX_FILE; length += read)
      read = (await file.read(buffer, length, MAX_FILE - length, null)).bytesRead;
    return buffer.subarray(0, length);
  } finally {
    await file.close();
  }
};

/** Certificates from a file: PEM or DER, the endorsement certificate first. Throws USAGE. */
export const certificatesFromFile = async (path: string): Promise<readonly Buffer[]> => {
  let content: Buffer;
  try {
    content = await readBounded(path);
  } catch (cause) {
    throw new AttestreamError('USAGE', `${path} cannot be read`, { path }, { cause });
  }
  const pem = [...content.toString('latin1').matchAll(PEM)].map(([, base64]) => Buffer.from(base64 ?? '', 'base64'));
  const found = pem.length > 0 ? pem.flatMap(splitCertificates) : splitCertificates(content);
  if (found.length === 0) throw new AttestreamError('USAGE', `${path} holds no certificate in PEM or DER`, { path });
  return found;
};
