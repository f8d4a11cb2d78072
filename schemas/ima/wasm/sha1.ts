import { type Code, get, set } from './encode.js';
import type { Word } from './word.js';

export const SHA1_INITIAL: readonly bigint[] = [0x67452301n, 0xefcdab89n, 0x98badcfen, 0x10325476n, 0xc3d2e1f0n];

export const SHA1_CONSTANTS: readonly bigint[] = [0x5a827999n, 0x6ed9eba1n, 0x8f1bbcdcn, 0xca62c1d6n];

/** Locals that a compression works on. */
export interface Sha1Locals {
  readonly state: readonly number[];
  readonly schedule: readonly number[];
}

/**
 * The 80 rounds of SHA-1 (FIPS 180-4, 6.1.2) on locals, unrolled: variables change their roles instead of being moved, and end in the
 * places that they began in. Without the final addition.
 * @param k code of a round constant
 */
export const sha1Rounds = (word: Word, { state, schedule: w }: Sha1Locals, k: (index: number) => Code): Code[] => {
  const rounds: Code[] = [];
  for (let t = 0; t < 80; t++) {
    const [a, b, c, d, e] = [0, 1, 2, 3, 4].map((i) => state[(((i - t) % 5) + 5) % 5]!) as [
      number,
      number,
      number,
      number,
      number,
    ];
    const at = (i: number): number => w[(t + i) & 15]!;
    const code: Code[] = [];
    if (t >= 16) {
      code.push(set(at(0), word.xor(get(at(13)), get(at(8)), get(at(2)), get(at(0)))));
      code.push(set(at(0), word.rotate(at(0), 31)));
    }
    const quarter = Math.floor(t / 20);
    const mixed =
      quarter === 0
        ? word.choose(b, c, d)
        : quarter === 2
          ? word.or(word.and(get(b), get(c)), word.and(get(d), word.or(get(b), get(c))))
          : word.xor(get(b), get(c), get(d));
    code.push(set(e, word.add(get(e), k(quarter), get(at(0)), mixed, word.rotate(a, 27))));
    code.push(set(b, word.rotate(b, 2)));
    rounds.push(code);
  }
  return rounds;
};
