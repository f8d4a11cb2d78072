import { createHash } from 'node:crypto';
import { copyWords, viewOf } from '../byte-words.js';
import type { Fill } from './bank-mode.js';
import { isZero } from './entry.js';
import { BANK_BYTES, bankOfBytes, IMA_BANKS, type ImaBank, PLAIN_MESSAGE, plainMessage } from './template-hash.js';
import { RECORD, TABLES_END } from './wasm/functions.js';
import { type Hashes, makeHashes } from './wasm/hashes.js';

/** Records that are hashed together: enough for four lanes to be full, few enough to stay in the processor's cache. */
export const BATCH = 256;
/** Messages longer than this are hashed one by one. */
const LONGEST = 4096;
/** What padding may write behind a message, in blocks of either size: see `pad`. */
const SLACK = 160;
const DATA_BYTES = 256 * 1024;

const align = (value: number, to: number): number => Math.ceil(value / to) * to;

const INITIAL_384 = align(TABLES_END, 64);
const INITIAL_512 = INITIAL_384 + 64;
const STATE = INITIAL_512 + 64;
/** Where a lane writes that has no message. */
const NOWHERE = STATE + RECORD;
const HASHES = align(NOWHERE + RECORD, 4096);
const SIZE = BATCH * RECORD;

/** Template hashes by bank, and SHA-1 as words of 64 bits for banks of such, which it is padded into. */
const AT: Readonly<Record<ImaBank | 'wideSha1', number>> = {
  sha1: HASHES,
  sha256: HASHES + SIZE,
  sha384: HASHES + 2 * SIZE,
  sha512: HASHES + 3 * SIZE,
  wideSha1: HASHES + 4 * SIZE,
};
const STATES = HASHES + 5 * SIZE;
const DATA = STATES + SIZE;
const END = DATA + DATA_BYTES;

/** Words of 32 bits in a RECORD. */
export const RECORD_WORDS = RECORD / 4;

const isWide = (bank: ImaBank): boolean => bank === 'sha384' || bank === 'sha512';

/** Position of a digest's big-endian word in a record: words of 64 bits have their halves the other way round. */
const place = (bank: ImaBank, word: number): number => (isWide(bank) ? word ^ 1 : word);

/** A register or digest as it lies in memory. */
export const wordsOf = (bank: ImaBank, bytes: Buffer): Int32Array => {
  const words = new Int32Array(RECORD_WORDS);
  for (let i = 0; i < BANK_BYTES[bank] / 4; i++) words[place(bank, i)] = bytes.readInt32BE(i * 4);
  return words;
};

export const bytesOf = (bank: ImaBank, words: Int32Array): Buffer => {
  const bytes = Buffer.alloc(BANK_BYTES[bank]);
  for (let i = 0; i < bytes.length / 4; i++) bytes.writeInt32BE(words[place(bank, i)]!, i * 4);
  return bytes;
};

/**
 * Records on their way into a replay: collected, their template hashes computed four at a time, then extended in their order.
 */
export class HashBatch {
  readonly #hashes: Hashes = makeHashes(END, { sha384: INITIAL_384, sha512: INITIAL_512 });
  readonly #bytes = Buffer.from(this.#hashes.memory);
  readonly #view = new DataView(this.#hashes.memory);
  /** All of the memory as words. States after `extend` are at `statesAt` of it. */
  readonly words = new Int32Array(this.#hashes.memory);
  /** Template digests as the list has them, big-endian words; and how many bytes each has. */
  readonly #stored = new Int32Array(BATCH * RECORD_WORDS);
  readonly #storedBytes = new Uint8Array(BATCH);
  readonly #message = new Int32Array(BATCH);
  readonly #length = new Int32Array(BATCH);
  readonly pcrs = new Uint8Array(BATCH);
  readonly #violation = new Uint8Array(BATCH);
  /** Indices of messages by their number of blocks. */
  readonly #byBlocks: number[][] = Array.from({ length: Math.ceil((LONGEST + 9) / 64) + 1 }, () => []);
  #longest = 0;
  /** Messages of records that are too long for the memory. */
  readonly #long = new Map<number, Buffer>();
  #end = DATA;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#count === BATCH || this.#end > END - LONGEST - SLACK;
  }

  isViolation(index: number): boolean {
    return this.#violation[index] === 1;
  }

  /** Takes a record in; there must be room. */
  add(
    pcr: number,
    plain: boolean,
    digests: Buffer,
    digestStart: number,
    digestEnd: number,
    data: Buffer,
    dataStart: number,
    dataEnd: number,
  ): void {
    const index = this.#count++;
    this.pcrs[index] = pcr;
    const bytes = digestEnd - digestStart;
    const known = bankOfBytes(bytes) !== null;
    this.#storedBytes[index] = known ? bytes : 0;
    let any = known || isZero(digests.subarray(digestStart, digestEnd)) ? 0 : 1;
    if (known)
      for (let at = digestStart, word = index * RECORD_WORDS; at < digestEnd; at += 4, word++) {
        const value = (digests[at]! << 24) | (digests[at + 1]! << 16) | (digests[at + 2]! << 8) | digests[at + 3]!;
        this.#stored[word] = value;
        any |= value;
      }
    this.#violation[index] = any === 0 ? 1 : 0;
    if (any === 0) return;
    const at = this.#end;
    let length = dataEnd - dataStart;
    if (plain) {
      plainMessage(data, dataStart, dataEnd, this.#bytes, at);
      length = PLAIN_MESSAGE;
    } else if (length > LONGEST) {
      this.#long.set(index, Buffer.from(data.subarray(dataStart, dataEnd)));
      return;
    } else copyWords(viewOf(data), dataStart, dataEnd, this.#view, at);
    this.#message[index] = at;
    this.#length[index] = length;
    const blocks = (length + 72) >> 6;
    this.#hashes.pad(at, length, at + (blocks << 6));
    this.#byBlocks[blocks]!.push(index);
    if (blocks > this.#longest) this.#longest = blocks;
    this.#end = (at + length + SLACK + 63) & -64;
  }

  /**
   * Computes the template hashes of the banks.
   * @param padded banks that SHA-1 is padded into
   * @param compares also those that the template digests in the list ask for: `isProven` will be asked
   */
  hash(banks: ReadonlySet<ImaBank>, padded: ReadonlySet<ImaBank>, compares: boolean): void {
    let stored = 0;
    if (compares) for (let i = 0; i < this.#count; i++) stored |= this.#storedBytes[i]!;
    const { sha1x4, sha256x4 } = this.#hashes;
    // SHA-1 stands for every bank that the kernel could not hash for. 20, 32, 48 and 64 differ in bits 4 to 6.
    const sha1 = compares || banks.has('sha1') || padded.size > 0;
    const sha256 = banks.has('sha256') || (stored & 32) !== 0;
    for (let blocks = 1; blocks <= this.#longest; blocks++) {
      const group = this.#byBlocks[blocks]!;
      if (group.length === 0) continue;
      if (sha1) this.#lanes(group, blocks, sha1x4, AT.sha1);
      if (sha256) this.#lanes(group, blocks, sha256x4, AT.sha256);
    }
    const sha384 = banks.has('sha384') || (stored & 48) === 48;
    const sha512 = banks.has('sha512') || (stored & 64) !== 0;
    if (sha384) this.#wide('sha384');
    if (sha512) this.#wide('sha512');
    for (const [index, data] of this.#long)
      for (const bank of IMA_BANKS)
        this.words.set(wordsOf(bank, createHash(bank).update(data).digest()), (AT[bank] + index * RECORD) >> 2);
    if (padded.has('sha384') || padded.has('sha512')) this.#widenSha1();
  }

  #lanes(group: readonly number[], blocks: number, hash: Hashes['sha1x4'], base: number): void {
    const message = this.#message;
    const { length } = group;
    for (let i = 0; i < length; i += 4) {
      const [a, b, c, d] = [group[i]!, group[i + 1] ?? -1, group[i + 2] ?? -1, group[i + 3] ?? -1];
      const first = message[a]!;
      hash(
        first,
        b < 0 ? first : message[b]!,
        c < 0 ? first : message[c]!,
        d < 0 ? first : message[d]!,
        blocks,
        base + a * RECORD,
        b < 0 ? NOWHERE : base + b * RECORD,
        c < 0 ? NOWHERE : base + c * RECORD,
        d < 0 ? NOWHERE : base + d * RECORD,
      );
    }
  }

  /** Blocks of 128 bytes: the same messages, padded anew. */
  #wide(bank: 'sha384' | 'sha512'): void {
    const initial = bank === 'sha384' ? INITIAL_384 : INITIAL_512;
    for (let i = 0; i < this.#count; i++) {
      if (this.#violation[i] === 1 || this.#long.has(i)) continue;
      const at = this.#message[i]!;
      const length = this.#length[i]!;
      const blocks = (length + 144) >> 7;
      this.#hashes.pad(at, length, at + (blocks << 7));
      this.#hashes.wide(at, blocks, initial, AT[bank] + i * RECORD);
    }
  }

  #widenSha1(): void {
    const { words } = this;
    for (let i = 0; i < this.#count; i++) {
      const from = (AT.sha1 + i * RECORD) >> 2;
      const to = (AT.wideSha1 + i * RECORD) >> 2;
      for (let word = 0; word < 6; word++) words[to + (word ^ 1)] = word < 5 ? words[from + word]! : 0;
    }
  }

  /** Whether the list's template digest is the hash of the data: the bank's, or SHA-1 padded with zeros. After `hash`. */
  isProven(index: number): boolean {
    const bank = bankOfBytes(this.#storedBytes[index]!);
    if (bank === null) return false;
    return this.#equals(index, bank, AT[bank]) || (bank !== 'sha1' && this.#equals(index, 'sha1', AT.sha1));
  }

  #equals(index: number, bank: ImaBank, base: number): boolean {
    const stored = index * RECORD_WORDS;
    const hash = (base + index * RECORD) >> 2;
    const bytes = BANK_BYTES[bank];
    for (let word = 0; word < this.#storedBytes[index]! >> 2; word++)
      if (this.#stored[stored + word] !== (word < bytes >> 2 ? this.words[hash + place(bank, word)] : 0)) return false;
    return true;
  }

  /**
   * Extends a register by the records [start, end): `register` is changed, and the states after each record lie at `statesAt`. After
   * `hash`.
   */
  extend(bank: ImaBank, fill: Fill, register: Int32Array, start: number, end: number): void {
    const digests = fill === 'per-bank' ? AT[bank] : isWide(bank) ? AT.wideSha1 : AT.sha1;
    for (let i = start; i < end; i++) if (this.#violation[i] === 1) this.#violate(digests, bank, fill, i);
    const { words } = this;
    words.set(register, STATE >> 2);
    const { chain1, chain256, chain384, chain512 } = this.#hashes;
    const chain = bank === 'sha1' ? chain1 : bank === 'sha256' ? chain256 : bank === 'sha384' ? chain384 : chain512;
    chain(STATE, digests + start * RECORD, STATES + start * RECORD, end - start);
    for (let i = 0; i < RECORD_WORDS; i++) register[i] = words[(STATE >> 2) + i]!;
  }

  /** Index in `words` of the state after a record. */
  statesAt(index: number): number {
    return (STATES + index * RECORD) >> 2;
  }

  /** What a violation extends instead of a hash. */
  #violate(digests: number, bank: ImaBank, fill: Fill, index: number): void {
    const at = (digests + index * RECORD) >> 2;
    this.words.fill(-1, at, at + RECORD_WORDS);
    if (fill !== 'padded-sha1-violations-padded') return;
    for (let word = 5; word < RECORD_WORDS; word++) this.words[at + place(bank, word)] = 0;
  }

  clear(): void {
    // Hashes of SHA-1 are written as 20 bytes, and read padded: what a violation left behind them must go.
    for (let i = 0; i < this.#count; i++)
      if (this.#violation[i] === 1)
        for (const base of [AT.sha1, AT.wideSha1])
          this.words.fill(0, (base + i * RECORD) >> 2, (base + (i + 1) * RECORD) >> 2);
    this.#long.clear();
    for (let blocks = 1; blocks <= this.#longest; blocks++) this.#byBlocks[blocks]!.length = 0;
    this.#longest = 0;
    this.#end = DATA;
    this.#count = 0;
  }
}
