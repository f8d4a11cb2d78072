import { expect, test } from '@jest/globals';
import { crc32c } from '../../../infra/log/kafka/crc32c.js';

/** Bit by bit, straight from the polynomial. */
const slow = (bytes: Uint8Array): number => {
  let c = 0xffffffff;
  for (const byte of bytes) {
    c ^= byte;
    for (let bit = 0; bit < 8; bit++) c = (c >>> 1) ^ (c & 1 ? 0x82f63b78 : 0);
  }
  return ~c >>> 0;
};

test('gives the check values of RFC 3720 and agrees with the polynomial at every length', () => {
  expect(crc32c(Buffer.from('123456789'), 0, 9)).toBe(0xe3069283);
  expect(crc32c(Buffer.alloc(32), 0, 32)).toBe(0x8a9136aa);
  expect(crc32c(Buffer.alloc(32, 0xff), 0, 32)).toBe(0x62a8ab43);
  const bytes = Buffer.from(Array.from({ length: 70 }, (_, i) => (i * 151 + 7) & 0xff));
  for (let length = 0; length < 65; length++)
    expect(crc32c(bytes, 3, 3 + length)).toBe(slow(bytes.subarray(3, 3 + length)));
});
