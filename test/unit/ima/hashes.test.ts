import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { makeHashes } from '../../../schemas/ima/wasm/hashes.js';
import { SHA256, SHA384, SHA512 } from '../../../schemas/ima/wasm/sha2.js';

const INITIAL_384 = 2048;
const INITIAL_512 = 2112;
const MESSAGES = [10_240, 12_288, 14_336, 16_384] as const;
const OUTS = [20_480, 20_544, 20_608, 20_672] as const;
const hashes = makeHashes(65_536, { sha384: INITIAL_384, sha512: INITIAL_512 });
const bytes = Buffer.from(hashes.memory);

const word32 = (at: number, count: number): string =>
  Array.from({ length: count }, (_, i) =>
    bytes
      .readUInt32LE(at + i * 4)
      .toString(16)
      .padStart(8, '0'),
  ).join('');
const word64 = (at: number, count: number): string =>
  Array.from({ length: count }, (_, i) =>
    bytes
      .readBigUInt64LE(at + i * 8)
      .toString(16)
      .padStart(16, '0'),
  ).join('');
const node = (name: string, ...parts: Buffer[]): string => {
  const hash = createHash(name);
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};

/** Four different messages in memory that was full of other bytes, padded to blocks of `size`. */
const place = (length: number, size: 64 | 128): { messages: Buffer[]; blocks: number } => {
  const blocks = Math.ceil((length + (size === 64 ? 9 : 17)) / size);
  const messages = MESSAGES.map((at, lane) => {
    const message = Buffer.from(Array.from({ length }, (_, i) => (i * 7 + lane * 31 + length) & 255));
    bytes.fill(0xee, at, at + 2048);
    message.copy(bytes, at);
    hashes.pad(at, length, at + blocks * size);
    return message;
  });
  return { messages, blocks };
};

describe('the hashes that are made here are those of FIPS 180-4', () => {
  test('constants are the standard’s', () => {
    expect(SHA256.constants[0]).toBe(0x428a2f98n);
    expect(SHA256.constants[63]).toBe(0xc67178f2n);
    expect(SHA512.constants[79]).toBe(0x6c44198c4a475817n);
    expect(SHA256.initial[0]).toBe(0x6a09e667n);
    expect(SHA384.initial[7]).toBe(0x47b5481dbefa4fa4n);
  });

  test('messages of every length up to five blocks, four at once and one by one', () => {
    for (let length = 0; length < 320; length++) {
      const { messages, blocks } = place(length, 64);
      hashes.sha1x4(...MESSAGES, blocks, ...OUTS);
      expect(OUTS.map((at) => word32(at, 5))).toEqual(messages.map((message) => node('sha1', message)));
      hashes.sha256x4(...MESSAGES, blocks, ...OUTS);
      expect(OUTS.map((at) => word32(at, 8))).toEqual(messages.map((message) => node('sha256', message)));
      const wide = place(length, 128);
      hashes.wide(MESSAGES[0], wide.blocks, INITIAL_384, OUTS[0]);
      expect(word64(OUTS[0], 6)).toBe(node('sha384', wide.messages[0]!));
      hashes.wide(MESSAGES[1], wide.blocks, INITIAL_512, OUTS[0]);
      expect(word64(OUTS[0], 8)).toBe(node('sha512', wide.messages[1]!));
    }
  });

  test.each([
    ['sha1', hashes.chain1, 20, word32, 5],
    ['sha256', hashes.chain256, 32, word32, 8],
    ['sha384', hashes.chain384, 48, word64, 6],
    ['sha512', hashes.chain512, 64, word64, 8],
  ] as const)('a register of %s is extended, and every state on the way told', (name, chain, size, shown, words) => {
    const [state, digests, out] = [24_576, 25_600, 30_720];
    const wide = shown === word64;
    bytes.fill(0, state, state + 64);
    let value: Buffer = Buffer.alloc(size);
    const states: string[] = [];
    for (let i = 0; i < 20; i++) {
      const digest = createHash('sha512').update(String(i)).digest().subarray(0, size);
      for (let word = 0; word < size / (wide ? 8 : 4); word++)
        if (wide) bytes.writeBigUInt64LE(digest.readBigUInt64BE(word * 8), digests + i * 64 + word * 8);
        else bytes.writeUInt32LE(digest.readUInt32BE(word * 4), digests + i * 64 + word * 4);
      value = Buffer.from(node(name, value, digest), 'hex');
      states.push(value.toString('hex'));
    }
    chain(state, digests, out, 20);
    expect(states.map((_, i) => shown(out + i * 64, words))).toEqual(states);
    expect(shown(state, words)).toBe(states.at(-1));
  });
});
