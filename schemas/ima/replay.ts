import { createHash } from 'node:crypto';
import { AttestreamError } from '../errors.js';
import { BANK_MODES, type BankMode, type BankModes, FILLS_OF, type Fill } from './bank-mode.js';
import type { ImaRecord } from './entry.js';
import { isZero } from './entry.js';
import type { RecordSpan } from './record-span.js';
import { BANK_BYTES, IMA_BANKS, type ImaBank, isTemplateDigest, templateHash } from './template-hash.js';

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
  /** Values by PCR; of one not extended yet: absent. */
  readonly values: Map<number, Buffer>;
}

const VERSION = 1;

const ZEROS: Readonly<Record<ImaBank, Buffer>> = {
  sha1: Buffer.alloc(20),
  sha256: Buffer.alloc(32),
  sha384: Buffer.alloc(48),
  sha512: Buffer.alloc(64),
};

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
  #chains: Chain[];
  #count = 0;
  #violations = 0;
  #bad = 0;
  readonly #onBad: ((index: number) => void) | undefined;
  /** Banks whose padded values are those with padded violations: a search found them. */
  readonly #paddedViolations = new Set<ImaBank>();

  constructor(options: ReplayOptions = {}) {
    this.banks = IMA_BANKS.filter((bank) => (options.banks ?? IMA_BANKS).includes(bank));
    this.#onBad = options.onBadTemplateHash;
    this.#chains = this.banks.flatMap((bank) => {
      const known = options.modes?.[bank];
      const modes = bank === 'sha1' ? (['per-bank'] as const) : known === undefined ? BANK_MODES : [known];
      return modes.flatMap((mode) => FILLS_OF[mode]).map((fill) => ({ bank, fill, values: new Map() }));
    });
  }

  /** Records that were extended or were violations. */
  get count(): number {
    return this.#count;
  }

  get violations(): number {
    return this.#violations;
  }

  /** Records whose template digest is not the hash of their data. */
  get badTemplateHashes(): number {
    return this.#bad;
  }

  extend(record: ImaRecord): void {
    const { pcr, templateDigest, template, data } = record;
    const violation = isZero(templateDigest);
    const plain = template === 'ima';
    if (violation) this.#violations++;
    else if (!isTemplateDigest(templateDigest, plain, data)) {
      this.#bad++;
      this.#onBad?.(this.#count);
    }
    for (const { bank, fill, values } of this.#chains) {
      const bytes = BANK_BYTES[bank];
      let extended: Buffer;
      if (violation) {
        extended = Buffer.alloc(bytes, 0xff);
        if (fill === 'padded-sha1-violations-padded') extended.fill(0, 20);
      } else if (fill === 'per-bank') extended = templateHash(bank, plain, data);
      else extended = Buffer.concat([templateHash('sha1', plain, data)], bytes);
      const before = values.get(pcr) ?? Buffer.alloc(bytes);
      values.set(pcr, createHash(bank).update(before).update(extended).digest());
    }
    this.#count++;
  }

  extendSpan(span: RecordSpan): void {
    this.extend({
      pcr: span.pcr,
      templateDigest: span.bytes.subarray(span.digestStart, span.digestEnd),
      template: span.template,
      data: span.bytes.subarray(span.dataStart, span.dataEnd),
    });
  }

  /** PCRs that the list extends, ascending. */
  pcrs(): number[] {
    return [...new Set(this.#chains.flatMap(({ values }) => [...values.keys()]))].sort((a, b) => a - b);
  }

  /** Value of a PCR after the records so far: zeros if none extended it; null where bank or mode is not replayed. */
  value(bank: ImaBank, mode: BankMode, pcr: number): Buffer | null {
    const fill = this.#fillOf(bank, mode);
    const chain = this.#chains.find((known) => known.bank === bank && known.fill === fill);
    if (chain === undefined) return null;
    return chain.values.get(pcr) ?? Buffer.alloc(BANK_BYTES[bank]);
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
          values: [...values].sort(([a], [b]) => a - b).map(([pcr, value]) => [pcr, value.toString('hex')]),
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
    replay.#chains = read.chains.map(({ bank, fill, values }) => ({
      bank,
      fill,
      values: new Map(values.map(([pcr, hex]) => [pcr, Buffer.from(hex, 'hex')])),
    }));
    return replay;
  }

  /** From now on only these modes: what a boot has shown once does not change within it. */
  settle(modes: BankModes): void {
    this.#chains = this.#chains.filter(({ bank, fill }) => {
      const mode = modes[bank];
      return bank === 'sha1' || mode === undefined || this.#fillOf(bank, mode) === fill;
    });
  }

  /** For a search: which ways to fill `bank` give `value` in `pcr` now. */
  fillsGiving(bank: ImaBank, pcr: number, value: Buffer): Fill[] {
    return this.#chains
      .filter((chain) => chain.bank === bank && (chain.values.get(pcr) ?? ZEROS[bank]).equals(value))
      .map(({ fill }) => fill);
  }

  /** What a search found out about padded banks. */
  settleFill(bank: ImaBank, fill: Fill): void {
    if (fill === 'padded-sha1-violations-padded') this.#paddedViolations.add(bank);
    else this.#paddedViolations.delete(bank);
  }
}
