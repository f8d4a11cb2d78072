import { AttestreamError } from '../errors.js';
import { type BankMode, type BankModes, type Fill, modeOf } from './bank-mode.js';
import type { ImaRecord } from './entry.js';
import { RECORD_WORDS, wordsOf } from './hash-batch.js';
import type { RecordSpan } from './record-span.js';
import type { ImaReplay } from './replay.js';
import { BANK_BYTES, type ImaBank } from './template-hash.js';

/** A PCR value that is to be explained, as quoted or given. */
export interface QuotedPcr {
  readonly bank: ImaBank;
  readonly pcr: number;
  readonly value: Buffer;
}

export interface PrefixMatch {
  /** Entries in the prefix. */
  readonly count: number;
  readonly modes: BankModes;
  /** The modes, seen closer: for `ImaReplay.settleFill` of another replay of the same list. */
  readonly fills: Readonly<Partial<Record<ImaBank, Fill>>>;
  /** The replay after just these entries; go on from here at the next quote. */
  readonly replay: ImaReplay;
}

/** How near a search came. */
export interface NearestPrefix {
  /** Entries after which the most values were explained at once. */
  readonly count: number;
  /** Values explained there. */
  readonly explained: readonly QuotedPcr[];
  readonly missing: readonly QuotedPcr[];
  /** For each value, in the order given: entries after which it alone was explained first; null if never. */
  readonly alone: readonly (number | null)[];
}

/**
 * Looks for the prefix of a list that explains every given value at once, one mode a bank. The list may run ahead of the quote,
 * so any prefix from the starting replay on will do, that of no further entry included. The first one found counts.
 */
export class ImaPrefixSearch {
  readonly #expected: readonly QuotedPcr[];
  readonly #modes: BankModes;
  readonly #replay: ImaReplay;
  readonly #banks: readonly ImaBank[];
  #found: PrefixMatch | null = null;
  #best: NearestPrefix;
  readonly #alone: (number | null)[];
  readonly #words: readonly Int32Array[];

  /**
   * @param start where the last match stands; it is not changed
   * @param modes of banks whose mode this boot has shown
   */
  constructor(start: ImaReplay, expected: readonly QuotedPcr[], modes: BankModes = {}) {
    const lacking = expected.find(({ bank }) => !start.banks.includes(bank));
    if (lacking !== undefined)
      throw new AttestreamError(
        'INTERNAL',
        `a value of bank ${lacking.bank}, which is not replayed, is to be explained`,
      );
    this.#expected = expected;
    this.#modes = modes;
    this.#replay = start.clone();
    this.#banks = [...new Set(expected.map(({ bank }) => bank))];
    this.#alone = expected.map(() => null);
    this.#best = { count: start.count, explained: [], missing: expected, alone: this.#alone };
    this.#words = expected.map(({ bank, value }) => wordsOf(bank, value));
    this.#look();
    this.#replay.observe({
      hits: (...states) => this.#hits(...states),
      look: () => {
        this.#look();
        return this.#found !== null;
      },
    });
  }

  get match(): PrefixMatch | null {
    this.#replay.settleRecords();
    // From here on the replay belongs to whoever asks.
    if (this.#found !== null) this.#replay.observe(null);
    return this.#found;
  }

  get nearest(): NearestPrefix {
    this.#replay.settleRecords();
    return { ...this.#best, alone: [...this.#alone] };
  }

  /** True once the prefix is known to be found; records behind it are ignored. It may become known later: `match` tells it. */
  extend(record: ImaRecord): boolean {
    if (this.#found === null) this.#replay.extend(record);
    return this.#found !== null;
  }

  extendSpan(span: RecordSpan): boolean {
    if (this.#found === null) this.#replay.extendSpan(span);
    return this.#found !== null;
  }

  #hits(bank: ImaBank, fill: Fill, pcr: number, words: Int32Array, at: number, count: number): boolean {
    for (const [i, value] of this.#expected.entries()) {
      if (value.bank !== bank || value.pcr !== pcr || !this.#allowed(bank, fill)) continue;
      const wanted = this.#words[i]!;
      const first = wanted[0]!;
      for (let state = at, end = at + count * RECORD_WORDS; state < end; state += RECORD_WORDS)
        if (words[state] === first && this.#isState(words, state, wanted, BANK_BYTES[bank] / 4)) return true;
    }
    return false;
  }

  #isState(words: Int32Array, at: number, wanted: Int32Array, count: number): boolean {
    for (let i = 0; i < count; i++) if (words[at + i] !== wanted[i]) return false;
    return true;
  }

  #look(): void {
    if (this.#found !== null) return;
    const count = this.#replay.settledCount;
    const fills = this.#expected.map(({ bank, pcr, value }) =>
      this.#replay.fillsGiving(bank, pcr, value).filter((fill) => this.#allowed(bank, fill)),
    );
    if (fills.length > 0 && fills.every((given) => given.length === 0)) return;
    for (const [i, given] of fills.entries()) if (given.length > 0) this.#alone[i] ??= count;
    const chosen = new Map<ImaBank, Fill>();
    const explained: QuotedPcr[] = [];
    for (const bank of this.#banks) {
      const candidates = new Map<Fill, QuotedPcr[]>();
      for (const [i, given] of fills.entries())
        if (this.#expected[i]!.bank === bank)
          for (const fill of given) candidates.set(fill, [...(candidates.get(fill) ?? []), this.#expected[i]!]);
      let best: [Fill, QuotedPcr[]] | null = null;
      for (const candidate of candidates) if (best === null || candidate[1].length > best[1].length) best = candidate;
      if (best === null) continue;
      chosen.set(bank, best[0]);
      explained.push(...best[1]);
    }
    const missing = this.#expected.filter((value) => !explained.includes(value));
    if (explained.length > this.#best.explained.length) this.#best = { count, explained, missing, alone: this.#alone };
    if (missing.length > 0) return;
    for (const [bank, fill] of chosen) this.#replay.settleFill(bank, fill);
    const modes = Object.fromEntries([...chosen].map(([bank, fill]) => [bank, modeOf(fill)] as [ImaBank, BankMode]));
    this.#found = { count, modes, fills: Object.fromEntries(chosen), replay: this.#replay };
  }

  #allowed(bank: ImaBank, fill: Fill): boolean {
    const known = this.#modes[bank];
    return bank === 'sha1' || known === undefined || known === modeOf(fill);
  }
}
