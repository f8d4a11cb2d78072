import { type Code, get, set } from './encode.js';
import type { Word } from './word.js';

/** Bits of fractional parts of roots of primes, as FIPS 180-4 defines its constants: exact, by whole numbers. */
const rootBits = (prime: bigint, degree: 2n | 3n, bits: bigint): bigint => {
  const scaled = prime << (bits * degree);
  let low = 0n;
  let high = 1n << (bits + 10n);
  while (high - low > 1n) {
    const middle = (low + high) >> 1n;
    if (middle ** degree <= scaled) low = middle;
    else high = middle;
  }
  return low & ((1n << bits) - 1n);
};

const primes = (count: number): bigint[] => {
  const found: bigint[] = [];
  for (let n = 2n; found.length < count; n++) if (found.every((prime) => n % prime !== 0n)) found.push(n);
  return found;
};

export interface Sha2 {
  readonly rounds: number;
  readonly constants: readonly bigint[];
  readonly initial: readonly bigint[];
  /** Distances of Σ0, Σ1, σ0, σ1; the last of σ is a shift. */
  readonly distances: readonly (readonly [number, number, number])[];
}

export const SHA256: Sha2 = {
  rounds: 64,
  constants: primes(64).map((prime) => rootBits(prime, 3n, 32n)),
  initial: primes(8).map((prime) => rootBits(prime, 2n, 32n)),
  distances: [
    [2, 13, 22],
    [6, 11, 25],
    [7, 18, 3],
    [17, 19, 10],
  ],
};

export const SHA512: Sha2 = {
  rounds: 80,
  constants: primes(80).map((prime) => rootBits(prime, 3n, 64n)),
  initial: primes(8).map((prime) => rootBits(prime, 2n, 64n)),
  distances: [
    [28, 34, 39],
    [14, 18, 41],
    [1, 8, 7],
    [19, 61, 6],
  ],
};

export const SHA384: Sha2 = {
  ...SHA512,
  initial: primes(16)
    .slice(8)
    .map((prime) => rootBits(prime, 2n, 64n)),
};

/** Locals that a compression works on. */
export interface Sha2Locals {
  readonly state: readonly number[];
  readonly schedule: readonly number[];
  /** Two words: an intermediate sum, and a ^ b of the round before. */
  readonly scratch: readonly [number, number, number];
}

/** The message schedule of a block that is known beforehand. */
export const knownSchedule = (sha: Sha2, bits: 32 | 64, block: readonly bigint[]): bigint[] => {
  const w = [...block];
  const cut = (value: bigint): bigint => BigInt.asUintN(bits, value);
  const rotate = (value: bigint, by: number): bigint => cut((value >> BigInt(by)) | (value << BigInt(bits - by)));
  const sigma = (value: bigint, [a, b, c]: readonly [number, number, number]): bigint =>
    rotate(value, a) ^ rotate(value, b) ^ (value >> BigInt(c));
  for (let t = 16; t < sha.rounds; t++)
    w.push(cut(w[t - 16]! + sigma(w[t - 15]!, sha.distances[2]!) + w[t - 7]! + sigma(w[t - 2]!, sha.distances[3]!)));
  return w;
};

/**
 * The rounds of SHA-2 (FIPS 180-4, 6.2.2 and 6.4.2) on locals, unrolled: variables change their roles instead of being moved, and
 * end in the places that they began in. Without the final addition.
 * @param k code of round t's constant; with `known`, of the constant plus the schedule's word
 */
export const sha2Rounds = (
  sha: Sha2,
  word: Word,
  { state, schedule: w, scratch }: Sha2Locals,
  k: (round: number) => Code,
  known = false,
): Code[] => {
  const [sum0, sum1, small0, small1] = sha.distances as [
    readonly [number, number, number],
    readonly [number, number, number],
    readonly [number, number, number],
    readonly [number, number, number],
  ];
  const big = (local: number, [a, b, c]: readonly [number, number, number]): Code =>
    word.xor(word.rotate(local, a), word.rotate(local, b), word.rotate(local, c));
  const small = (local: number, [a, b, c]: readonly [number, number, number]): Code =>
    word.xor(word.rotate(local, a), word.rotate(local, b), word.shift(local, c));
  const [temporary, even, odd] = scratch;
  const rounds: Code[] = [set(odd, word.xor(get(state[1]!), get(state[2]!)))];
  for (let t = 0; t < sha.rounds; t++) {
    const role = (i: number): number => state[(((i - t) % 8) + 8) % 8]!;
    const [a, b, d, e, f, g, h] = [role(0), role(1), role(3), role(4), role(5), role(6), role(7)];
    const at = (i: number): number => w[(t + i) & 15]!;
    const code: Code[] = [];
    if (t >= 16 && !known)
      code.push(set(at(0), word.add(get(at(0)), small(at(1), small0), get(at(9)), small(at(14), small1))));
    const terms = [get(h), k(t), ...(known ? [] : [get(at(0))]), word.choose(e, f, g), big(e, sum1)];
    code.push(set(temporary, word.add(...terms)));
    code.push(set(d, word.add(get(d), get(temporary))));
    // Majority of a, b, c by a ^ b of this round and of the one before, which was b ^ c.
    const [now, before] = t % 2 === 0 ? [even, odd] : [odd, even];
    code.push(set(now, word.xor(get(a), get(b))));
    code.push(set(before, word.xor(word.and(get(now), get(before)), get(b))));
    code.push(set(h, word.add(get(temporary), get(before), big(a, sum0))));
    rounds.push(code);
  }
  return rounds;
};
