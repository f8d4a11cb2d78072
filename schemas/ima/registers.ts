import { BANK_MODES, type BankMode, type BankModes, FILLS_OF, type Fill, modeOf } from './bank-mode.js';
import { bytesOf, type HashBatch, RECORD_WORDS, wordsOf } from './hash-batch.js';
import { BANK_BYTES, type ImaBank } from './template-hash.js';

interface Chain {
  readonly bank: ImaBank;
  readonly fill: Fill;
  /**
   * Values by PCR, as words; of one not extended yet: absent. With padded violations also absent until there was a violation: the
   * values are those of the other padded chain until then.
   */
  readonly values: Map<number, Int32Array>;
}

/** Looks on while a batch is extended: see `Registers.extend`. */
export type StateTest = (
  bank: ImaBank,
  fill: Fill,
  pcr: number,
  words: Int32Array,
  /** Index in `words` of the first state; the others follow, RECORD_WORDS apart. */
  at: number,
  count: number,
) => boolean;

/** Registers in JSON: no more than hex and names. */
export interface EncodedRegisters {
  readonly paddedViolations: readonly ImaBank[];
  readonly chains: readonly {
    readonly bank: ImaBank;
    readonly fill: Fill;
    readonly values: readonly (readonly [pcr: number, hex: string])[];
  }[];
}

/** What a list makes of the PCRs: a register for each bank, each way to fill it, and each PCR that was extended. */
export class Registers {
  #chains: readonly Chain[];
  /** Banks whose padded values are those with padded violations: a search found them. */
  readonly #paddedViolations = new Set<ImaBank>();

  constructor(banks: readonly ImaBank[], modes: BankModes = {}) {
    this.#chains = banks.flatMap((bank) => {
      const known = modes[bank];
      const wanted = bank === 'sha1' ? (['per-bank'] as const) : known === undefined ? BANK_MODES : [known];
      return wanted.flatMap((mode) => FILLS_OF[mode]).map((fill) => ({ bank, fill, values: new Map() }));
    });
  }

  /** Banks that the template hashes of their own are needed of. */
  get hashed(): ReadonlySet<ImaBank> {
    return new Set(this.#chains.filter(({ fill }) => fill === 'per-bank').map(({ bank }) => bank));
  }

  /** Banks that SHA-1 is padded into. */
  get padded(): ReadonlySet<ImaBank> {
    return new Set(this.#chains.filter(({ fill }) => fill !== 'per-bank').map(({ bank }) => bank));
  }

  /** Extends every register by records [start, end) of a hashed batch; whether a state passed the test. */
  extend(from: HashBatch, start: number, end: number, test: StateTest | null): boolean {
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
        if (test?.(chain.bank, chain.fill, pcr, from.words, from.statesAt(i), next - i) === true) hit = true;
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

  /** The values as they are, to come back to. */
  save(): readonly ReadonlyMap<number, Int32Array>[] {
    return this.#chains.map(({ values }) => new Map([...values].map(([pcr, words]) => [pcr, words.slice()])));
  }

  restore(saved: readonly ReadonlyMap<number, Int32Array>[]): void {
    for (const [i, { values }] of this.#chains.entries()) {
      values.clear();
      for (const [pcr, words] of saved[i]!) values.set(pcr, words.slice());
    }
  }

  /** PCRs that were extended, ascending. */
  pcrs(): number[] {
    return [...new Set(this.#chains.flatMap(({ values }) => [...values.keys()]))].sort((a, b) => a - b);
  }

  /** Zeros if nothing extended the PCR; null where bank or mode is not replayed. */
  value(bank: ImaBank, mode: BankMode, pcr: number): Buffer | null {
    const fill = this.#fillOf(bank, mode);
    const chain = this.#chains.find((known) => known.bank === bank && known.fill === fill);
    return chain === undefined ? null : this.#valueOf(chain, pcr);
  }

  /** With SHA-1 both modes are the same. */
  #fillOf(bank: ImaBank, mode: BankMode): Fill {
    if (bank === 'sha1' || mode === 'per-bank') return 'per-bank';
    return this.#paddedViolations.has(bank) ? 'padded-sha1-violations-padded' : 'padded-sha1';
  }

  /** Which ways to fill `bank` give `value` in `pcr`. */
  fillsGiving(bank: ImaBank, pcr: number, value: Buffer): Fill[] {
    return this.#chains
      .filter((chain) => chain.bank === bank && this.#valueOf(chain, pcr).equals(value))
      .map(({ fill }) => fill);
  }

  settleFill(bank: ImaBank, fill: Fill): void {
    if (fill === 'padded-sha1-violations-padded') this.#paddedViolations.add(bank);
    else this.#paddedViolations.delete(bank);
  }

  /** Drops what these modes exclude. */
  settle(modes: BankModes): void {
    const stays = ({ bank, fill }: Chain): boolean => {
      const mode = modes[bank];
      if (bank === 'sha1' || mode === undefined) return true;
      if (modeOf(fill) !== mode) return false;
      // Both ways to pad stay until a violation has shown which it is.
      return fill === this.#fillOf(bank, mode) || !this.#differs(bank);
    };
    this.#chains = this.#chains.filter(stays).map((chain) => {
      const twin = this.#twin(chain);
      if (twin === undefined || stays(twin)) return chain;
      const values = [...twin.values, ...chain.values].map(([pcr, words]) => [pcr, words.slice()] as const);
      return { ...chain, values: new Map(values) };
    });
  }

  /** Whether the two ways to pad a bank have come apart. */
  #differs(bank: ImaBank): boolean {
    return this.#chains.some(
      (chain) => chain.bank === bank && chain.fill === 'padded-sha1-violations-padded' && chain.values.size > 0,
    );
  }

  encode(): EncodedRegisters {
    return {
      paddedViolations: [...this.#paddedViolations].sort(),
      chains: this.#chains.map(({ bank, fill, values }) => ({
        bank,
        fill,
        values: [...values]
          .sort(([a], [b]) => a - b)
          .map(([pcr, words]) => [pcr, bytesOf(bank, words).toString('hex')] as const),
      })),
    };
  }

  static decode({ paddedViolations, chains }: EncodedRegisters): Registers {
    const registers = new Registers([]);
    for (const bank of paddedViolations) registers.#paddedViolations.add(bank);
    registers.#chains = chains.map(({ bank, fill, values }) => ({
      bank,
      fill,
      values: new Map(values.map(([pcr, hex]) => [pcr, wordsOf(bank, Buffer.from(hex, 'hex'))])),
    }));
    return registers;
  }
}
