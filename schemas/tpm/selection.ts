import { AttestreamError } from '../errors.js';
import { algorithmId, algorithmName, hashSize } from './algorithms.js';
import { TpmReader } from './reader.js';
import { u8, u16, u32 } from './writer.js';

/** One bank's registers, ascending. */
export interface BankSelection {
  /** `sha256`, or `0x1234` for a bank that is not known. */
  readonly hash: string;
  readonly pcrs: readonly number[];
}

/** In the order in which the digests were taken: another order is another selection. */
export type PcrSelection = readonly BankSelection[];

/** Banks in one selection; the specification's implementations have at most this many hashes. */
const MAX_BANKS = 16;
/** Bytes of one bank's bitmap: 256 registers. Real TPMs have three. */
const MAX_BITMAP = 32;
/** TPMs refuse bitmaps shorter than their platform's 24 registers. */
const LEAST_BITMAP = 3;

/** Reads a TPML_PCR_SELECTION at the reader's place. */
export const readSelection = (reader: TpmReader): PcrSelection => {
  const at = reader.offset;
  const count = reader.u32('number of banks');
  if (count > MAX_BANKS) throw reader.invalid(`${count} banks, at most ${MAX_BANKS} are possible`, at);
  return Array.from({ length: count }, () => {
    const hash = algorithmName(reader.u16('bank'));
    const size = reader.u8('size of the bitmap');
    if (size > MAX_BITMAP) throw reader.invalid(`a bitmap of ${size} bytes`, reader.offset - 1);
    const bitmap = reader.take(size, 'bitmap');
    const pcrs: number[] = [];
    for (let pcr = 0; pcr < size * 8; pcr++) if (((bitmap[pcr >> 3] ?? 0) & (1 << (pcr & 7))) !== 0) pcrs.push(pcr);
    return { hash, pcrs };
  });
};

/** A whole TPML_PCR_SELECTION. Throws TPM_BLOB_INVALID. */
export const parseSelection = (bytes: Buffer): PcrSelection => {
  const reader = new TpmReader(bytes, 'TPML_PCR_SELECTION');
  const selection = readSelection(reader);
  reader.end();
  return selection;
};

const bitmapOf = (pcrs: readonly number[]): Buffer => {
  const bitmap = Buffer.alloc(Math.max(LEAST_BITMAP, ...pcrs.map((pcr) => (pcr >> 3) + 1)));
  for (const pcr of pcrs) bitmap[pcr >> 3] = (bitmap[pcr >> 3] ?? 0) | (1 << (pcr & 7));
  return bitmap;
};

/** TPML_PCR_SELECTION. */
export const marshalSelection = (selection: PcrSelection): Buffer =>
  Buffer.concat([
    u32(selection.length),
    ...selection.flatMap(({ hash, pcrs }) => {
      const bitmap = bitmapOf(pcrs);
      return [u16(idOf(hash)), u8(bitmap.length), bitmap];
    }),
  ]);

const idOf = (hash: string): number => {
  const id = algorithmId(hash);
  if (id === null) throw new AttestreamError('USAGE', `no PCR bank is called ${hash}`);
  return id;
};

/** `sha256:0,10,12+sha1:10`. */
export const selectionText = (selection: PcrSelection): string =>
  selection.map(({ hash, pcrs }) => `${hash}:${pcrs.join(',')}`).join('+');

const MAX_TEXT = 4096;

/** Reads `sha256:0,10,12+sha1:10`. Throws USAGE. */
export const selectionFromText = (text: string): PcrSelection => {
  const wrong = (why: string): AttestreamError =>
    new AttestreamError('USAGE', `PCR selection ${JSON.stringify(text.slice(0, 80))}: ${why}; write sha256:0,10,12`);
  if (text.length > MAX_TEXT) throw wrong('it is too long');
  const banks = text.split('+').map((bank) => {
    const [, hash, list] = /^([a-z0-9_]+):(\d{1,2}(?:,\d{1,2})*)$/.exec(bank.trim()) ?? [];
    if (hash === undefined || list === undefined) throw wrong('it is not BANK:NUMBER,NUMBER');
    if (hashSize(hash) === null) throw wrong(`no bank is called ${hash}`);
    const pcrs = [...new Set(list.split(',').map(Number))].sort((a, b) => a - b);
    if (pcrs.some((pcr) => pcr > 23)) throw wrong('registers are 0 to 23');
    return { hash, pcrs };
  });
  if (new Set(banks.map(({ hash }) => hash)).size < banks.length) throw wrong('a bank is named twice');
  return banks;
};

/** Whether two selections name the same registers in the same order. */
export const sameSelection = (a: PcrSelection, b: PcrSelection): boolean =>
  a.length === b.length &&
  a.every(({ hash, pcrs }, i) => {
    const other = b[i];
    return other?.hash === hash && other.pcrs.length === pcrs.length && pcrs.every((pcr, j) => other.pcrs[j] === pcr);
  });

/** Every selected register in the order in which a quote hashes them. */
export const selectedRegisters = (
  selection: PcrSelection,
): readonly { readonly hash: string; readonly pcr: number }[] =>
  selection.flatMap(({ hash, pcrs }) => pcrs.map((pcr) => ({ hash, pcr })));
