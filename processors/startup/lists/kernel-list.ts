import type { BankModes } from '../../../schemas/ima/bank-mode.js';
import { MAX_PCR } from '../../../schemas/ima/binary-layout.js';
import type { ImaRecord } from '../../../schemas/ima/entry.js';
import {
  type PrefixMatch as FoundPrefix,
  ImaPrefixSearch,
  type QuotedPcr,
} from '../../../schemas/ima/prefix-search.js';
import { emptySpan, type RecordSpan } from '../../../schemas/ima/record-span.js';
import { ImaReplay } from '../../../schemas/ima/replay.js';
import type { ImaBank } from '../../../schemas/ima/template-hash.js';
import { emptyAppraisal, type ImaAppraisal } from '../appraisal/ima-appraisal.js';
import { RecordTail } from './record-tail.js';

/** Entries that may wait for a quote that proves them; a list beyond it is taken up again by a request. */
const MAX_TAIL_ENTRIES = 1 << 20;
const MAX_TAIL_BYTES = 64 << 20;

/**
 * A host's kernel list in one boot. Entries before the cursor are proven by a quote and forgotten; those behind it are only
 * said, and one that is said again with the same index takes its place.
 */
export interface KernelList {
  /** Replay of the proven prefix; null until a quote says which banks count. */
  proven: ImaReplay | null;
  modes: BankModes;
  readonly tail: RecordTail;
  tailBytes: number;
  appraisal: ImaAppraisal;
  /** Digest of the policy that the proven entries were appraised under. */
  policy: string;
}

export const emptyKernelList = (): KernelList => ({
  proven: null,
  modes: {},
  tail: new RecordTail(),
  tailBytes: 0,
  appraisal: emptyAppraisal(),
  policy: '',
});

/** Entries that a quote has proven. */
export const cursorOf = (list: KernelList): number => list.proven?.count ?? 0;

const size = ({ data, templateDigest, template }: ImaRecord): number =>
  data.length + templateDigest.length + template.length + 64;

const spanSize = ({ digestStart, digestEnd, dataStart, dataEnd, template }: RecordSpan): number =>
  dataEnd - dataStart + digestEnd - digestStart + template.length + 64;

const spanAt = (list: KernelList, index: number): RecordSpan => {
  const span = emptySpan();
  list.tail.span(index, span);
  return span;
};

/** The record is copied. False if there is no room for it. */
export const addKernelEntry = (list: KernelList, index: number, record: ImaRecord): boolean => {
  if (index < cursorOf(list)) return true;
  const former = list.tail.has(index) ? spanSize(spanAt(list, index)) : 0;
  const bytes = list.tailBytes - former + size(record);
  if (bytes > MAX_TAIL_BYTES || (former === 0 && list.tail.size >= MAX_TAIL_ENTRIES)) return false;
  list.tail.set(index, record);
  list.tailBytes = bytes;
  return true;
};

/** First index below `count` that is not there; null if all are. */
export const missingKernelEntry = (list: KernelList, count: number): number | null => {
  const cursor = cursorOf(list);
  for (let index = cursor; index < count; index++) if (!list.tail.has(index)) return index;
  return null;
};

/** Where a list explains the registers, and how it goes on from there. */
export type PrefixMatch = Pick<FoundPrefix, 'count' | 'modes' | 'replay'>;

export type KernelPrefix =
  | { readonly found: PrefixMatch }
  /** No prefix explains the registers; how near it came. */
  | { readonly found: null; readonly message: string }
  /** A bank is quoted that was not replayed so far: the list is needed from its beginning. */
  | { readonly found: null; readonly rewind: true };

/** Looks for the prefix from the cursor to `until` that explains all values at once. */
export const kernelPrefix = (list: KernelList, values: readonly QuotedPcr[], until: number): KernelPrefix => {
  const banks = [...new Set(values.map(({ bank }) => bank))];
  if (list.proven !== null && banks.some((bank) => !list.proven!.banks.includes(bank)))
    return { found: null, rewind: true };
  const { proven } = list;
  // Nothing new was measured, as a rule: then the proven registers are the quoted ones, and no search is needed.
  if (proven !== null && values.every((quoted) => standsAt(proven, list.modes, quoted)))
    return { found: { count: proven.count, modes: list.modes, replay: proven } };
  // As a rule kernels fill banks with their own hash: the other ways are tried only where that explains nothing.
  const usual = banks.every((bank) => list.modes[bank] === undefined)
    ? Object.fromEntries(banks.map((bank) => [bank, 'per-bank'] as const))
    : list.modes;
  const first = search(
    list,
    values,
    until,
    list.proven ?? new ImaReplay({ banks, modes: usual, templateDigests: false }),
    usual,
  );
  if (first.match !== null) return { found: first.match };
  if (list.proven !== null) return { found: null, message: nearness(first) };
  const second = search(list, values, until, new ImaReplay({ banks, templateDigests: false }), {});
  return second.match === null ? { found: null, message: nearness(second) } : { found: second.match };
};

const standsAt = (proven: ImaReplay, modes: BankModes, { bank, pcr, value }: QuotedPcr): boolean =>
  proven.value(bank, modes[bank] ?? 'per-bank', pcr)?.equals(value) === true;

const search = (
  list: KernelList,
  values: readonly QuotedPcr[],
  until: number,
  start: ImaReplay,
  modes: BankModes,
): ImaPrefixSearch => {
  const prefix = new ImaPrefixSearch(start, values, modes);
  const span = emptySpan();
  for (let index = start.count; index < until; index++) {
    // What no TPM has was never extended: what counts is what stands before it.
    if (!list.tail.span(index, span) || span.pcr < 0 || span.pcr > MAX_PCR) break;
    // Records are hashed in batches: that a prefix was found may become known some records later.
    if (prefix.extendSpan(span)) break;
  }
  return prefix;
};

const nearness = ({ nearest }: ImaPrefixSearch): string => {
  const { explained, missing, count } = nearest;
  const named = missing.map(({ bank, pcr }) => `${bank}:${pcr}`).join(', ');
  return explained.length === 0
    ? `no prefix of the list explains ${named}`
    : `${count} entries explain ${explained.length} registers, none also ${named}`;
};

/** Moves the cursor to a matched prefix; hands each entry that is proven thereby to `take`, as long as the call lasts, then forgets it. */
export const moveCursor = (list: KernelList, match: PrefixMatch, take: (span: RecordSpan) => void): void => {
  const span = emptySpan();
  for (let index = cursorOf(list); index < match.count; index++) {
    list.tail.span(index, span);
    take(span);
    list.tailBytes -= spanSize(span);
    list.tail.delete(index);
  }
  if (match.replay === list.proven) return;
  match.replay.settle(match.modes);
  list.proven = match.replay;
  list.modes = { ...list.modes, ...match.modes };
};

/** Forgets what is only said: it explains nothing, and asking again is better than keeping a poisoned tail. */
export const dropTail = (list: KernelList): void => {
  list.tail.clear();
  list.tailBytes = 0;
};

export const isImaBank = (bank: string): bank is ImaBank => ['sha1', 'sha256', 'sha384', 'sha512'].includes(bank);
