import { inflateSync } from 'node:zlib';
import { AttestreamError } from '../errors.js';
import { algorithmName, hashSize, MAX_DIGEST } from './algorithms.js';
import type { PcrValue } from './pcr-digest.js';
import { blobInvalid, unwrapSized } from './reader.js';
import { type PcrSelection, selectedRegisters } from './selection.js';

/*
 * `tpm2_quote --pcrs_format=serialized` writes the library's structures as they lie in memory, little-endian and with
 * their padding: TPML_PCR_SELECTION (u32 count, 16 × {u16 hash, u8 size, u8[4] bitmap, pad}), u32 number of lists,
 * lists of TPML_DIGEST (u32 count, 8 × {u16 size, u8[64] digest}).
 */
const MEMORY_BANKS = 16;
const MEMORY_BANK_SIZE = 8;
const MEMORY_SELECTION = 4 + MEMORY_BANKS * MEMORY_BANK_SIZE;
const MEMORY_DIGESTS = 8;
const MEMORY_DIGEST_SIZE = 2 + MAX_DIGEST;
const MEMORY_LIST = 4 + MEMORY_DIGESTS * MEMORY_DIGEST_SIZE;
/** 16 banks of 32 registers fill 64 lists. */
const MAX_LISTS = 64;

const isSerialized = (bytes: Buffer): boolean =>
  bytes.length >= MEMORY_SELECTION + 4 &&
  (bytes.length - MEMORY_SELECTION - 4) % MEMORY_LIST === 0 &&
  bytes.readUInt32LE(MEMORY_SELECTION) * MEMORY_LIST === bytes.length - MEMORY_SELECTION - 4;

const memorySelection = (bytes: Buffer): PcrSelection => {
  const count = bytes.readUInt32LE(0);
  if (count > MEMORY_BANKS) throw blobInvalid(`PCR file: ${count} banks`, 0);
  return Array.from({ length: count }, (_, i) => {
    const at = 4 + i * MEMORY_BANK_SIZE;
    const size = bytes.readUInt8(at + 2);
    if (size > 4) throw blobInvalid(`PCR file: a bitmap of ${size} bytes`, at + 2);
    const pcrs = Array.from({ length: size * 8 }, (_, pcr) => pcr).filter(
      (pcr) => (bytes.readUInt8(at + 3 + (pcr >> 3)) & (1 << (pcr & 7))) !== 0,
    );
    return { hash: algorithmName(bytes.readUInt16LE(at)), pcrs };
  });
};

const memoryDigests = (bytes: Buffer): Buffer[] => {
  const lists = bytes.readUInt32LE(MEMORY_SELECTION);
  if (lists > MAX_LISTS) throw blobInvalid(`PCR file: ${lists} lists`, MEMORY_SELECTION);
  const digests: Buffer[] = [];
  for (let list = 0; list < lists; list++) {
    const start = MEMORY_SELECTION + 4 + list * MEMORY_LIST;
    const count = bytes.readUInt32LE(start);
    if (count > MEMORY_DIGESTS) throw blobInvalid(`PCR file: a list of ${count} digests`, start);
    for (let i = 0; i < count; i++) {
      const at = start + 4 + i * MEMORY_DIGEST_SIZE;
      const size = bytes.readUInt16LE(at);
      if (size > MAX_DIGEST) throw blobInvalid(`PCR file: a digest of ${size} bytes`, at);
      digests.push(bytes.subarray(at + 2, at + 2 + size));
    }
  }
  return digests;
};

/** Digests one behind the other, in the selection's order (`--pcrs_format=values`). */
const concatenated = (bytes: Buffer, selection: PcrSelection): Buffer[] => {
  let at = 0;
  const digests = selectedRegisters(selection).map(({ hash }) => {
    const size = hashSize(hash);
    if (size === null) throw blobInvalid(`PCR file: the digests of bank ${hash} have no known size`, at);
    const digest = bytes.subarray(at, at + size);
    at += size;
    return digest;
  });
  if (at !== bytes.length) throw blobInvalid(`PCR file: ${bytes.length} bytes, the selection has ${at}`, bytes.length);
  return digests;
};

/**
 * Register values as `tpm2_quote -o` writes them, in either of its forms; `selection` is the quote's. The file is not
 * signed: its values count only if their digest is the quote's. Throws TPM_BLOB_INVALID.
 */
export const parsePcrFile = (bytes: Buffer, selection: PcrSelection): readonly PcrValue[] => {
  const serialized = isSerialized(bytes);
  const registers = selectedRegisters(serialized ? memorySelection(bytes) : selection);
  const digests = serialized ? memoryDigests(bytes) : concatenated(bytes, selection);
  if (digests.length !== registers.length)
    throw blobInvalid(`PCR file: ${digests.length} digests for ${registers.length} registers`, MEMORY_SELECTION);
  return registers.map(({ hash, pcr }, i) => ({ hash, pcr, value: digests[i]! }));
};

/** What `tpm2_quote` writes into its three files. */
export interface QuoteFiles {
  /** TPMS_ATTEST. */
  readonly message: Buffer;
  /** TPMT_SIGNATURE. */
  readonly signature: Buffer;
  /** See `parsePcrFile`. */
  readonly pcrs: Buffer;
}

/** Far above any of the three parts (a PCR file of 64 lists has 34 kB). */
const MAX_PART = 65_536;

const ZLIB = 0x78;

const keylimePart = (text: string, name: string): Buffer => {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw blobInvalid(`Keylime quote: ${name} is not base64`, 0);
  const bytes = Buffer.from(text, 'base64');
  // Older agents deflate each part. None of the three begins with this byte by itself.
  if (bytes[0] !== ZLIB) return bytes;
  try {
    return inflateSync(bytes, { maxOutputLength: MAX_PART });
  } catch (cause) {
    throw new AttestreamError('TPM_BLOB_INVALID', `Keylime quote: ${name} does not inflate`, { offset: 0 }, { cause });
  }
};

/** Keylime's `r` + base64 of message, signature and PCR file, with colons between them. Throws TPM_BLOB_INVALID. */
export const parseKeylimeQuote = (text: string): QuoteFiles => {
  const [message, signature, pcrs, ...more] = text.trim().slice(1).split(':', 5);
  if (text.length > 4 * MAX_PART || !text.startsWith('r') || message === undefined || signature === undefined)
    throw blobInvalid('Keylime quote: it is not r and three parts with colons between them', 0);
  if (pcrs === undefined || more.length > 0) throw blobInvalid('Keylime quote: it does not have three parts', 0);
  return {
    message: unwrapSized(keylimePart(message, 'the message')),
    signature: keylimePart(signature, 'the signature'),
    pcrs: keylimePart(pcrs, 'the PCR file'),
  };
};
