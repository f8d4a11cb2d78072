import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { AttestreamError, isAttestreamError } from '../schemas/errors.js';
import type { BankMode } from '../schemas/ima/bank-mode.js';
import { bootAggregateOf } from '../schemas/ima/boot-aggregate.js';
import { type ByteOrder, type ImaEntry, imaEntry } from '../schemas/ima/entry.js';
import { ImaListReader, type ListFormat } from '../schemas/ima/list-reader.js';
import { ImaPrefixSearch, type QuotedPcr } from '../schemas/ima/prefix-search.js';
import { type RecordSpan, spanRecord } from '../schemas/ima/record-span.js';
import { ImaReplay, type ReplayValues } from '../schemas/ima/replay.js';
import { checkSignature } from '../schemas/ima/signature.js';
import { type SigningKey, signingKey } from '../schemas/ima/signing-key.js';
import type { ImaBank } from '../schemas/ima/template-hash.js';

const CHUNK = 1024 * 1024;
/** Lists have a handful of templates; a hostile one must not choose our memory. */
const MAX_TEMPLATES = 1000;

export interface SignatureCounts {
  readonly valid: number;
  readonly unsigned: number;
  /** Indices from 0, as the others. */
  readonly unknownKey: readonly number[];
  readonly bad: readonly number[];
  /** Over what a list does not hold (metadata of the file): neither valid nor bad. */
  readonly unchecked: readonly number[];
}

export interface ImaReplayAnswer {
  readonly entries: number;
  readonly templates: Readonly<Record<string, number>>;
  readonly violations: number;
  /** Entries that were measured without a digest of the file. */
  readonly unhashable: number;
  readonly badTemplateHashes: readonly number[];
  readonly format: 'binary' | 'ascii' | null;
  readonly byteOrder: ByteOrder | null;
  readonly banks: Readonly<Partial<Record<ImaBank, ReplayValues[ImaBank] & { readonly mode: BankMode | null }>>>;
  readonly bootAggregate: { readonly algorithm: string; readonly digest: string } | null;
  /** Number of entries in the prefix that explains all expected values. */
  readonly prefix: { readonly index: number; readonly of: number } | null;
  /** Where no prefix does: the one that explains most. */
  readonly nearest: {
    readonly index: number;
    readonly explained: readonly string[];
    readonly missing: readonly string[];
    /** For each missing value: the number of entries that explain it alone, or null. */
    readonly alone: readonly (number | null)[];
  } | null;
  readonly signatures: SignatureCounts | null;
}

const nameOf = ({ bank, pcr }: QuotedPcr): string => `${bank}:${pcr}`;

const readKey = (path: string): SigningKey => {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw new AttestreamError('USAGE', `the key cannot be read: ${(cause as Error).message}`, { path }, { cause });
  }
  return signingKey(bytes, path);
};

/** What the fields of a record say; null if they do not fit its template, which its digest then covers all the same. */
const entryOf = (span: RecordSpan): ImaEntry | null => {
  try {
    return imaEntry(spanRecord(span), span.byteOrder);
  } catch (error) {
    if (isAttestreamError(error, 'IMA_INVALID')) return null;
    throw error;
  }
};

const signatureTally = (paths: readonly string[]) => {
  const keys = paths.map(readKey);
  const counts = { valid: 0, unsigned: 0, unknownKey: [] as number[], bad: [] as number[], unchecked: [] as number[] };
  return {
    counts,
    count: (entry: ImaEntry | null, index: number): void => {
      const { result } = entry === null ? { result: 'bad' as const } : checkSignature(entry, keys);
      if (result === 'valid' || result === 'unsigned') counts[result]++;
      else if (result === 'unknown-key') counts.unknownKey.push(index);
      else counts[result].push(index);
    },
  };
};

/** Reads a file by chunks; throws the reason of `stop` when it aborts. */
const readChunks = (path: string, stop: AbortSignal, push: (chunk: Buffer) => void): void => {
  const buffer = Buffer.allocUnsafe(CHUNK);
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (cause) {
    throw new AttestreamError('USAGE', `the list cannot be read: ${(cause as Error).message}`, { path }, { cause });
  }
  try {
    for (;;) {
      stop.throwIfAborted();
      let read: number;
      try {
        read = readSync(file, buffer, 0, CHUNK, null);
      } catch (cause) {
        throw new AttestreamError('USAGE', `the list cannot be read: ${(cause as Error).message}`, { path }, { cause });
      }
      if (read === 0) return;
      push(buffer.subarray(0, read));
    }
  } finally {
    closeSync(file);
  }
};

export interface ImaReplayQuestion {
  readonly path: string;
  readonly format: ListFormat;
  readonly expected: readonly QuotedPcr[];
  /** Files with keys. */
  readonly signatures: readonly string[];
  readonly stop: AbortSignal;
}

/** Replays a list once, from beginning to end, in constant memory. Throws IMA_INVALID, USAGE. */
export const replayImaList = ({ path, format, expected, signatures, stop }: ImaReplayQuestion): ImaReplayAnswer => {
  const tally = signatures.length === 0 ? null : signatureTally(signatures);
  const badTemplateHashes: number[] = [];
  const replay = new ImaReplay({ onBadTemplateHash: (index) => badTemplateHashes.push(index) });
  const search =
    expected.length === 0
      ? null
      : new ImaPrefixSearch(new ImaReplay({ banks: expected.map(({ bank }) => bank) }), expected);
  const templates = new Map<string, number>();
  let bootAggregate: ImaReplayAnswer['bootAggregate'] = null;
  let unhashable = 0;
  const reader = new ImaListReader({ format, path });
  const take = (span: RecordSpan): void => {
    const index = replay.count;
    const entry = entryOf(span);
    if (index === 0 && entry !== null) {
      const aggregate = bootAggregateOf(entry);
      if (aggregate !== null)
        bootAggregate = { algorithm: aggregate.algorithm, digest: aggregate.digest.toString('hex') };
    }
    if (entry?.unhashable === true) unhashable++;
    tally?.count(entry, index);
    const name = templates.has(span.template) || templates.size < MAX_TEMPLATES ? span.template : '…';
    templates.set(name, (templates.get(name) ?? 0) + 1);
    replay.extendSpan(span);
    search?.extendSpan(span);
  };
  readChunks(path, stop, (chunk) => reader.push(chunk, take));
  reader.end(take);

  const match = search?.match ?? null;
  for (const [bank, fill] of Object.entries(match?.fills ?? {})) replay.settleFill(bank as ImaBank, fill);
  const values = replay.values();
  const banks = Object.fromEntries(
    replay.banks.map((bank) => [bank, { mode: match?.modes[bank] ?? null, ...values[bank]! }]),
  );
  const near = search === null || match !== null ? null : search.nearest;
  return {
    entries: replay.count,
    templates: Object.fromEntries(templates),
    violations: replay.violations,
    unhashable,
    badTemplateHashes,
    format: reader.format,
    byteOrder: reader.byteOrder,
    banks,
    bootAggregate,
    prefix: match === null ? null : { index: match.count, of: replay.count },
    nearest:
      near === null
        ? null
        : {
            index: near.count,
            explained: near.explained.map(nameOf),
            missing: near.missing.map(nameOf),
            alone: near.missing.map((value) => near.alone[expected.indexOf(value)] ?? null),
          },
    signatures: tally?.counts ?? null,
  };
};
