import { expect, test } from '@jest/globals';
import { CHAIN_START, EventChain, nextChainHead } from '../../../schemas/event-chain.js';

test('a head that is moved is the one that the formula gives', () => {
  const chain = new EventChain('measurements');
  const fingerprint = Buffer.from('0102030405060708', 'hex');
  const head = Buffer.from(CHAIN_START);
  let expected: Buffer = CHAIN_START;
  const lengths = [0, 1, 300, 16 * 1024, 16 * 1024 + 1, 100_000, 7];
  const bytes = Buffer.from(Array.from({ length: 100_010 }, (_, i) => i * 31));
  for (const [i, length] of lengths.entries()) {
    const seq = i === 3 ? 2 ** 40 + 5 : i;
    chain.move(head, seq, fingerprint, bytes, i, i + length);
    expected = nextChainHead(expected, seq, 'measurements', fingerprint, bytes.subarray(i, i + length));
    expect(head).toEqual(expected);
  }
  expect(CHAIN_START).toEqual(Buffer.alloc(32));
});
