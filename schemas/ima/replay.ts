import { AttestreamError } from '../errors.js';
import { BANK_MODES, type BankMode, type BankModes, FILLS_OF, type Fill, modeOf } from './bank-mode.js';
import { MAX_PCR } from './binary-layout.js';
import type { ImaRecord } from './entry.js';
import { bytesOf, HashBatch, RECORD_WORDS, wordsOf } from './hash-batch.js';
import type { RecordSpan } from './record-span.js';
import { BANK_BYTES, IMA_BANKS, type ImaBank } from './template-hash.js';

/** PCR values in hex, by the PCRs that the list extends. */
export type PcrValues = Readonly<Record<number, string>>;
export type ReplayValues = Readonly<Partial<Record<ImaBank, Readonly<Record<BankMode, PcrValues>>>>>;

export interface ReplayOptions {
  /** Default: all of `IMA_BANKS`. */
  readonly banks?: readonly ImaBank[];
  /** Where a bank's mode is known, the other is not computed. */
  readonly modes?: BankModes;
  /** Gets the index (from 0) of every record whose template digest is not the hash of its data. */
  readonly onBadTemplateHash?: (index: number) => void;
}

interface Chain {
  readonly bank: ImaBank;
  readonly fill: Fill;
  /**
   * Values by PCR, as words; of one not extended yet: absent. With padded violations also absent until there was a violation: the
   * values are those of the other padded chain until then.
   */
  readonly values: Map<number, Int32Array>;
}

/** Looks on while a batch is extended. */
export interface ReplayObserver {
  /** Whether one of `count` states of a register, RECORD_WORDS apart in `words` from `at` on, is one that is looked for. */
  hits(bank: ImaBank, fill: Fill, pcr: number, words: Int32Array, at: number, count: number): boolean;
  /** Called after each record of a batch that hits; true ends the replay there. */
  look(): boolean;
}

/** A batch and whose records are in it. */
interface Slot {
  readonly batch: HashBatch;
  owner: ImaReplay | null;
}

/**
 * Batches of this thread, newest use last: each has a few hundred KiB of memory, so replays share them. Who needs one takes the one
 * that was used longest ago, after the records in it are worked off.
 */
const slots: Slot[] = [];
const MAX_SLOTS = 4;

const VERSION = 1;

interface EncodedReplay {
  readonly version: number;
  readonly banks: readonly ImaBank[];
  readonly count: number;
  readonly violations: number;
  readonly bad: number;
  readonly paddedViolations: readonly ImaBank[];
  readonly chains: readonly {
    readonly bank: ImaBank;
    readonly fill: Fill;
    readonly values: readonly (readonly [pcr: number, hex: string])[];
  }[];
}

/**
 * Replays a measurement list: what its entries make of the PCRs of every bank, in either mode. A violation extends 0xff…;
 * every other record the hash of its data, whatever template digest it shows.
 */
export class ImaReplay {
  readonly banks: readonly ImaBank[];
  #chains: Chain[] = [];
  #wanted: ReadonlySet<ImaBank> = new Set();
  #count = 0;
  #violations = 0;
  #bad = 0;
  #ended = false;
  #slot: Slot | null = null;
  #observer: ReplayObserver | null = null;
  readonly #onBad: ((index: number) => void) | undefined;
  /** Banks whose padded values are those with padded violations: a search found them. */
  readonly #paddedViolations = new Set<ImaBank>();

  constructor(options: ReplayOptions = {}) {
    this.banks = IMA_BANKS.filter((bank) => (options.banks ?? IMA_BANKS).includes(bank));
    this.#onBad = options.onBadTemplateHash;
    this.#use(
      this.banks.flatMap((bank) => {
        const known = options.modes?.[bank];
        const modes = bank === 'sha1' ? (['per-bank'] as const) : known === undefined ? BANK_MODES : [known];
        return modes.flatMap((mode) => FILLS_OF[mode]).map((fill) => ({ bank, fill, values: new Map() }));
      }),
    );
  }

  #use(chains: readonly Chain[]): void {
    this.#chains = [...chains];
    this.#wanted = new Set(chains.filter(({ fill }) => fill === 'per-bank').map(({ bank }) => bank));
  }

  /** Records that were extended or were violations. */
  get count(): number {
    return this.#count + (this.#slot?.owner === this ? this.#slot.batch.count : 0);
  }

  get violations(): number {
    this.#flush();
    return this.#violations;
  }

  /** Records whose template digest is not the hash of their data. */
  get badTemplateHashes(): number {
    this.#flush();
    return this.#bad;
  }

  /** Throws IMA_INVALID for a PCR that no TPM has. */
  extend(record: ImaRecord): void {
    const { pcr, templateDigest, template, data } = record;
    this.#add(pcr, template, templateDigest, 0, templateDigest.length, data, 0, data.length);
  }

  extendSpan(span: RecordSpan): void {
    const { bytes } = span;
    this.#add(span.pcr, span.template, bytes, span.digestStart, span.digestEnd, bytes, span.dataStart, span.dataEnd);
  }

  #add(
    pcr: number,
    template: string,
    digests: Buffer,
    digestStart: number,
    digestEnd: number,
    data: Buffer,
    dataStart: number,
    dataEnd: number,
  ): void {
    if (!(pcr >= 0 && pcr <= MAX_PCR && Number.isInteger(pcr)))
      throw new AttestreamError('IMA_INVALID', `a measurement in PCR ${pcr}, which no TPM has`);
    if (this.#ended) return;
    const slot = this.#slot?.owner === this ? this.#slot : this.#takeSlot();
    const { batch } = slot;
    batch.add(pcr, template === 'ima', digests, digestStart, digestEnd, data, dataStart, dataEnd);
    if (batch.isFull) this.#flush();
  }

  #takeSlot(): Slot {
    const free = slots.findIndex(({ owner }) => owner === null);
    const slot =
      free >= 0
        ? slots.splice(free, 1)[0]!
        : slots.length < MAX_SLOTS
          ? { batch: new HashBatch(), owner: null }
          : slots.shift()!;
    slots.push(slot);
    slot.owner?.settleRecords();
    slot.owner = this;
    this.#slot = slot;
    return slot;
  }

  /** Works off what was collected. Everything that tells of the state does this first. */
  #flush(): void {
    const slot = this.#slot;
    if (slot?.owner !== this) return;
    slot.owner = null;
    const { batch } = slot;
    const { count } = batch;
    try {
      batch.hash(this.#wanted);
      const observer = this.#observer;
      if (observer === null) {
        this.#extend(batch, 0, count, null);
        this.#tally(batch, 0, count);
        return;
      }
      const before = this.#chains.map(({ values }) => new Map([...values].map(([pcr, words]) => [pcr, words.slice()])));
      if (!this.#extend(batch, 0, count, observer)) {
        this.#tally(batch, 0, count);
        return;
      }
      // Something that is looked for is among the states: once more, and slowly.
      for (const [i, chain] of this.#chains.entries()) {
        chain.values.clear();
        for (const [pcr, words] of before[i]!) chain.values.set(pcr, words);
      }
      for (let i = 0; i < count && !this.#ended; i++) {
        this.#extend(batch, i, i + 1, null);
        this.#tally(batch, i, i + 1);
        if (observer.look()) this.#ended = true;
      }
    } finally {
      batch.clear();
    }
  }

  #tally(from: HashBatch, start: number, end: number): void {
    for (let i = start; i < end; i++) {
      if (from.isViolation(i)) this.#violations++;
      else if (!from.isProven(i)) {
        this.#bad++;
        this.#onBad?.(this.#count);
      }
      this.#count++;
    }
  }

  /** Extends every register by records [start, end) of the batch; whether the observer saw a state that it looks for. */
  #extend(from: HashBatch, start: number, end: number, observer: ReplayObserver | null): boolean {
    let hit = false;
    for (let i = start; i < end; ) {
      const pcr = from.pcrs[i]!;
      let next = i + 1;
      let violated = from.isViolation(i);
      for (; next < end && from.pcrs[next] === pcr; next++) violated ||= from.isViolation(next);
      for (const chain of this.#chains) {
        const register = this.#register(chain, pcr, violated);
        if (register === null) continue;
        from.extend(chain.bank, chain.fill, register, i, next);
        if (observer?.hits(chain.bank, chain.fill, pcr, from.words, from.statesAt(i), next - i) === true) hit = true;
      }
      i = next;
    }
    return hit;
  }

  /** The register that a run of records extends; null if another chain stands for it. */
  #register(chain: Chain, pcr: number, violated: boolean): Int32Array | null {
    const known = chain.values.get(pcr);
    if (known !== undefined) return known;
    const twin = this.#twin(chain);
    if (twin !== undefined && !violated) return null;
    const register = twin?.values.get(pcr)?.slice() ?? new Int32Array(RECORD_WORDS);
    chain.values.set(pcr, register);
    return register;
  }

  /** The chain that a chain with padded violations is equal to while there are none. It comes behind it. */
  #twin({ bank, fill }: Chain): Chain | undefined {
    if (fill !== 'padded-sha1-violations-padded') return undefined;
    return this.#chains.find((chain) => chain.bank === bank && chain.fill === 'padded-sha1');
  }

  #valueOf(chain: Chain, pcr: number): Buffer {
    const words = chain.values.get(pcr) ?? this.#twin(chain)?.values.get(pcr);
    return words === undefined ? Buffer.alloc(BANK_BYTES[chain.bank]) : bytesOf(chain.bank, words);
  }

  /** PCRs that the list extends, ascending. */
  pcrs(): number[] {
    this.#flush();
    return [...new Set(this.#chains.flatMap(({ values }) => [...values.keys()]))].sort((a, b) => a - b);
  }

  /** Value of a PCR after the records so far: zeros if none extended it; null where bank or mode is not replayed. */
  value(bank: ImaBank, mode: BankMode, pcr: number): Buffer | null {
    this.#flush();
    const fill = this.#fillOf(bank, mode);
    const chain = this.#chains.find((known) => known.bank === bank && known.fill === fill);
    return chain === undefined ? null : this.#valueOf(chain, pcr);
  }

  /** With SHA-1 both modes are the same. */
  #fillOf(bank: ImaBank, mode: BankMode): Fill {
    if (bank === 'sha1' || mode === 'per-bank') return 'per-bank';
    return this.#paddedViolations.has(bank) ? 'padded-sha1-violations-padded' : 'padded-sha1';
  }

  values(): ReplayValues {
    const pcrs = this.pcrs();
    const of = (bank: ImaBank, mode: BankMode): PcrValues =>
      Object.fromEntries(
        pcrs.flatMap((pcr) => {
          const value = this.value(bank, mode, pcr);
          return value === null ? [] : [[pcr, value.toString('hex')]];
        }),
      );
    return Object.fromEntries(
      this.banks.map((bank) => [bank, { 'per-bank': of(bank, 'per-bank'), 'padded-sha1': of(bank, 'padded-sha1') }]),
    );
  }

  clone(): ImaReplay {
    return ImaReplay.decode(this.encode());
  }

  /** The state, for a snapshot: same state, same bytes. */
  encode(): Buffer {
    this.#flush();
    return Buffer.from(
      JSON.stringify({
        version: VERSION,
        banks: this.banks,
        count: this.#count,
        violations: this.#violations,
        bad: this.#bad,
        paddedViolations: [...this.#paddedViolations].sort(),
        chains: this.#chains.map(({ bank, fill, values }) => ({
          bank,
          fill,
          values: [...values]
            .sort(([a], [b]) => a - b)
            .map(([pcr, words]) => [pcr, bytesOf(bank, words).toString('hex')]),
        })),
      }),
    );
  }

  /** Throws SNAPSHOT_FOREIGN for bytes that `encode` did not make. */
  static decode(bytes: Buffer): ImaReplay {
    const read = ((): EncodedReplay | null => {
      try {
        return JSON.parse(bytes.toString('utf8')) as EncodedReplay;
      } catch {
        return null;
      }
    })();
    if (read?.version !== VERSION) throw new AttestreamError('SNAPSHOT_FOREIGN', 'not the state of a replay of IMA');
    const replay = new ImaReplay({ banks: read.banks });
    replay.#count = read.count;
    replay.#violations = read.violations;
    replay.#bad = read.bad;
    for (const bank of read.paddedViolations) replay.#paddedViolations.add(bank);
    replay.#use(
      read.chains.map(({ bank, fill, values }) => ({
        bank,
        fill,
        values: new Map(values.map(([pcr, hex]) => [pcr, wordsOf(bank, Buffer.from(hex, 'hex'))])),
      })),
    );
    return replay;
  }

  /** From now on only these modes: what a boot has shown once does not change within it. */
  settle(modes: BankModes): void {
    this.#flush();
    const stays = ({ bank, fill }: Chain): boolean => {
      const mode = modes[bank];
      if (bank === 'sha1' || mode === undefined) return true;
      if (modeOf(fill) !== mode) return false;
      // Both ways to pad stay until a violation has shown which it is.
      return fill === this.#fillOf(bank, mode) || !this.#differs(bank);
    };
    this.#use(
      this.#chains.filter(stays).map((chain) => {
        const twin = this.#twin(chain);
        if (twin === undefined || stays(twin)) return chain;
        return {
          ...chain,
          values: new Map([...twin.values, ...chain.values].map(([pcr, words]) => [pcr, words.slice()])),
        };
      }),
    );
  }

  /** Whether the two ways to pad a bank have come apart. */
  #differs(bank: ImaBank): boolean {
    return this.#chains.some(
      (chain) => chain.bank === bank && chain.fill === 'padded-sha1-violations-padded' && chain.values.size > 0,
    );
  }

  /** For a search: which ways to fill `bank` give `value` in `pcr` as far as the records were worked off. */
  fillsGiving(bank: ImaBank, pcr: number, value: Buffer): Fill[] {
    return this.#chains
      .filter((chain) => chain.bank === bank && this.#valueOf(chain, pcr).equals(value))
      .map(({ fill }) => fill);
  }

  /** For a search: hears of every state, and may end the replay at one. */
  observe(observer: ReplayObserver | null): void {
    this.#flush();
    this.#observer = observer;
    this.#ended = false;
  }

  /** For a search: works off what was collected. */
  settleRecords(): void {
    this.#flush();
  }

  /** Records that were worked off. */
  get settledCount(): number {
    return this.#count;
  }

  /** What a search found out about padded banks. */
  settleFill(bank: ImaBank, fill: Fill): void {
    if (fill === 'padded-sha1-violations-padded') this.#paddedViolations.add(bank);
    else this.#paddedViolations.delete(bank);
  }
}
