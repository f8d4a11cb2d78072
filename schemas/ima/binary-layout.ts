import { AttestreamError } from '../errors.js';
import type { ByteOrder } from './entry.js';
import { isTemplateDigest } from './template-hash.js';

/** What a binary list does not say of itself: the order of its integers, and the length of its template digests. */
export interface BinaryLayout {
  readonly byteOrder: ByteOrder;
  /** 20; 32, 48 or 64 in the list of another bank. */
  readonly digestBytes: number;
}

/** A PC has 24 PCRs; lists also hold entries of others that were never extended. */
export const MAX_PCR = 31;
export const MAX_TEMPLATE_NAME = 256;
/** Far above what the kernel measures at once (a policy of SELinux, a module's signature). */
export const MAX_TEMPLATE_DATA = 16 * 1024 * 1024;
/** Template `ima` hashes names padded to this. */
export const MAX_PLAIN_NAME = 256;

export const u32At = (bytes: Buffer, at: number, little: boolean): number =>
  little
    ? (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
    : (bytes[at + 3]! | (bytes[at + 2]! << 8) | (bytes[at + 1]! << 16) | (bytes[at]! << 24)) >>> 0;

/** Whether the name at [start, end) is `ima`, whose data have no length of their own. */
export const isPlainTemplate = (bytes: Buffer, start: number, end: number): boolean =>
  end - start === 3 && bytes[start] === 0x69 && bytes[start + 1] === 0x6d && bytes[start + 2] === 0x61;

/** Printable, without spaces: the kernel's names and format strings are. */
export const isTemplateName = (bytes: Buffer, start: number, end: number): boolean => {
  for (let i = start; i < end; i++) if (bytes[i]! <= 0x20 || bytes[i]! >= 0x7f) return false;
  return end > start;
};

/** Records that a layout is tried on. */
const TRIED = 4;
/** Bytes after which a choice is made even if more could tell. */
const ENOUGH = 256 * 1024;

interface Trial {
  readonly layout: BinaryLayout;
  /** Whole records that fit, up to TRIED. */
  readonly records: number;
  /** Of them, those whose digest is the hash of their data. */
  readonly proven: number;
  /** What stands there is not a record. */
  readonly refuted: boolean;
}

const tryLayout = (bytes: Buffer, layout: BinaryLayout): Trial => {
  const little = layout.byteOrder === 'little';
  let at = 0;
  let records = 0;
  let proven = 0;
  const result = (refuted: boolean): Trial => ({ layout, records, proven, refuted });
  while (records < TRIED && at < bytes.length) {
    if (at + 4 > bytes.length) return result(false);
    if (u32At(bytes, at, little) > MAX_PCR) return result(true);
    const digest = at + 4;
    const name = digest + layout.digestBytes + 4;
    if (name > bytes.length) return result(false);
    const nameLength = u32At(bytes, name - 4, little);
    if (nameLength === 0 || nameLength > MAX_TEMPLATE_NAME) return result(true);
    const nameEnd = name + nameLength;
    if (!isTemplateName(bytes, name, Math.min(nameEnd, bytes.length))) return result(true);
    const plain = isPlainTemplate(bytes, name, nameEnd);
    const length = nameEnd + (plain ? 20 : 0);
    if (length + 4 > bytes.length) return result(false);
    const dataLength = u32At(bytes, length, little);
    if (dataLength > (plain ? MAX_PLAIN_NAME : MAX_TEMPLATE_DATA)) return result(true);
    const end = length + 4 + dataLength;
    if (end > bytes.length) return result(false);
    records++;
    const stored = bytes.subarray(digest, digest + layout.digestBytes);
    if (isTemplateDigest(stored, plain, bytes.subarray(plain ? nameEnd : length + 4, end))) proven++;
    at = end;
  }
  return result(false);
};

const LAYOUTS: readonly BinaryLayout[] = [20, 32, 48, 64].flatMap((digestBytes) =>
  (['little', 'big'] as const).map((byteOrder) => ({ byteOrder, digestBytes })),
);

/**
 * Which layout the beginning of a list has; null if more bytes are needed to tell. A layout that explains digests goes
 * before one that merely can be read. Throws IMA_INVALID if it has none.
 * @param given what is known already
 * @param ended no more bytes come
 */
export const detectLayout = (bytes: Buffer, given: Partial<BinaryLayout>, ended: boolean): BinaryLayout | null => {
  const asked = LAYOUTS.filter(
    ({ byteOrder, digestBytes }) =>
      (given.byteOrder === undefined || byteOrder === given.byteOrder) &&
      (given.digestBytes === undefined || digestBytes === given.digestBytes),
  );
  if (asked.length === 1) return asked[0]!;
  const trials = asked.map((layout) => tryLayout(bytes, layout));
  const proven = trials.reduce((best, trial) => (trial.proven > best.proven ? trial : best), trials[0]!);
  if (proven.proven > 0) return proven.layout;
  const open = trials.filter(({ refuted }) => !refuted);
  if (open.length === 0) {
    // None fits: the one that fits longest gives the reader the place of the error.
    const best = trials.reduce((a, b) => (b.records > a.records ? b : a));
    if (best.records > 0) return best.layout;
    throw new AttestreamError('IMA_INVALID', 'not a measurement list of IMA, in neither byte order', { offset: 0 });
  }
  if (open.length > 1 && !ended && bytes.length < ENOUGH) return null;
  return open.reduce((best, trial) => (trial.records > best.records ? trial : best)).layout;
};
