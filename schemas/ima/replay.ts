import { AttestreamError } from '../errors.js';
import type { BankMode, BankModes, Fill } from './bank-mode.js';
import { MAX_PCR } from './binary-layout.js';
import type { ImaRecord } from './entry.js';
import { HashBatch } from './hash-batch.js';
import type { RecordSpan } from './record-span.js';
import { type EncodedRegisters, Registers, type StateTest } from './registers.js';
import { IMA_BANKS, type ImaBank } from './template-hash.js';

/** PCR values in hex, by the PCRs that the list extends. */
export type PcrValues = Readonly<Record<number, string>>;
export type ReplayValues = Readonly<Partial<Record<ImaBank, Readonly<Record<BankMode, PcrValues>>>>>;

export interface ReplayOptions {
  /** Default: all of `IMA_BANKS`. */
  readonly banks?: readonly ImaBank[];
  /** Where a bank's mode is known, the other is not computed. */
  readonly modes?: BankModes;
  /** False: template digests are not looked at, and `badTemplateHashes` stays 0. The registers are the same. Default: true. */
  readonly templateDigests?: boolean;
  /** Gets the index (from 0) of every record whose template digest is not the hash of its data. */
  readonly onBadTemplateHash?: (index: number) => void;
}

/** Looks on while a batch is extended. */
export interface ReplayObserver {
  /** Whether one of the states is one that is looked for. */
  readonly hits: StateTest;
  /** Called after each record of a batch that hits; true ends the replay there. */
  readonly look: () => boolean;
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

interface EncodedReplay extends EncodedRegisters {
  readonly version: number;
  readonly banks: readonly ImaBank[];
  readonly count: number;
  readonly violations: number;
  readonly bad: number;
}

/**
 * Replays a measurement list: what its entries make of the PCRs of every bank, in either mode. A violation extends 0xff…;
 * every other record the hash of its data, whatever template digest it shows.
 */
export class ImaReplay {
  readonly banks: readonly ImaBank[];
  #registers: Registers;
  #count = 0;
  #violations = 0;
  #bad = 0;
  #ended = false;
  #slot: Slot | null = null;
  #observer: ReplayObserver | null = null;
  readonly #compares: boolean;
  readonly #onBad: ((index: number) => void) | undefined;

  constructor(options: ReplayOptions = {}) {
    this.banks = IMA_BANKS.filter((bank) => (options.banks ?? IMA_BANKS).includes(bank));
    this.#onBad = options.onBadTemplateHash;
    this.#compares = options.templateDigests ?? true;
    this.#registers = new Registers(this.banks, options.modes);
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
    const registers = this.#registers;
    const observer = this.#observer;
    try {
      batch.hash(registers.hashed, registers.padded, this.#compares);
      const before = observer === null ? null : registers.save();
      if (!registers.extend(batch, 0, count, observer?.hits ?? null)) {
        this.#tally(batch, 0, count);
        return;
      }
      // Something that is looked for is among the states: once more, and slowly.
      registers.restore(before!);
      for (let i = 0; i < count && !this.#ended; i++) {
        registers.extend(batch, i, i + 1, null);
        this.#tally(batch, i, i + 1);
        this.#ended = observer!.look();
      }
    } finally {
      batch.clear();
    }
  }

  #tally(from: HashBatch, start: number, end: number): void {
    for (let i = start; i < end; i++) {
      if (from.isViolation(i)) this.#violations++;
      else if (this.#compares && !from.isProven(i)) {
        this.#bad++;
        this.#onBad?.(this.#count);
      }
      this.#count++;
    }
  }

  /** PCRs that the list extends, ascending. */
  pcrs(): number[] {
    this.#flush();
    return this.#registers.pcrs();
  }

  /** Value of a PCR after the records so far: zeros if none extended it; null where bank or mode is not replayed. */
  value(bank: ImaBank, mode: BankMode, pcr: number): Buffer | null {
    this.#flush();
    return this.#registers.value(bank, mode, pcr);
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
    return ImaReplay.decode(this.encode(), this.#compares);
  }

  /** The state, for a snapshot: same state, same bytes. */
  encode(): Buffer {
    this.#flush();
    const encoded: EncodedReplay = {
      version: VERSION,
      banks: this.banks,
      count: this.#count,
      violations: this.#violations,
      bad: this.#bad,
      ...this.#registers.encode(),
    };
    return Buffer.from(JSON.stringify(encoded));
  }

  /** Throws SNAPSHOT_FOREIGN for bytes that `encode` did not make. */
  static decode(bytes: Buffer, templateDigests = true): ImaReplay {
    try {
      const read = JSON.parse(bytes.toString('utf8')) as EncodedReplay;
      if (read.version !== VERSION) throw new RangeError(`version ${read.version}`);
      const replay = new ImaReplay({ banks: read.banks, templateDigests });
      replay.#count = read.count;
      replay.#violations = read.violations;
      replay.#bad = read.bad;
      replay.#registers = Registers.decode(read);
      return replay;
    } catch (cause) {
      throw new AttestreamError('SNAPSHOT_FOREIGN', 'not the state of a replay of IMA', {}, { cause });
    }
  }

  /** From now on only these modes: what a boot has shown once does not change within it. */
  settle(modes: BankModes): void {
    this.#flush();
    this.#registers.settle(modes);
  }

  /** For a search: which ways to fill `bank` give `value` in `pcr` as far as the records were worked off. */
  fillsGiving(bank: ImaBank, pcr: number, value: Buffer): Fill[] {
    return this.#registers.fillsGiving(bank, pcr, value);
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
    this.#registers.settleFill(bank, fill);
  }
}
