import { createHmac, randomBytes } from 'node:crypto';

/** A source of numbers in [0, 1). */
export type Random = () => number;

/**
 * Numbers that nobody can guess without the seed: a program that knew when it is looked at could behave for that moment.
 * The same seed gives the same numbers.
 */
export const secretRandom = (seed: Buffer = randomBytes(32)): Random => {
  let block = Buffer.alloc(0);
  let at = 0;
  let counter = 0;
  return () => {
    if (at + 6 > block.length) {
      block = createHmac('sha512', seed).update(`looks ${counter++}`).digest();
      at = 0;
    }
    const value = block.readUIntLE(at, 6) / 2 ** 48;
    at += 6;
    return value;
  };
};
