import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { registersAtQuote } from '../../../producers/attestation/registers-at-quote.js';
import type { ImaRecord } from '../../../schemas/ima/entry.js';
import { marshalAttest } from '../../../schemas/tpm/marshal-attest.js';
import { type PcrValue, pcrDigest } from '../../../schemas/tpm/pcr-digest.js';
import { marshalSignature } from '../../../schemas/tpm/signature.js';

const selection = [
  { hash: 'sha256', pcrs: [0, 10] },
  { hash: 'sha384', pcrs: [10] },
];
const NONE = Buffer.alloc(0);
const start: readonly PcrValue[] = [
  { hash: 'sha256', pcr: 0, value: Buffer.alloc(32, 7) },
  { hash: 'sha256', pcr: 10, value: Buffer.alloc(32) },
  { hash: 'sha384', pcr: 10, value: Buffer.alloc(48) },
];
const record = (n: number, violation = false): ImaRecord => ({
  pcr: 10,
  template: 'ima-ng',
  templateDigest: Buffer.alloc(20, violation ? 0 : 1),
  data: Buffer.from(`entry ${n}`),
});

/** Independent of the code under test. */
const extend = (
  values: readonly PcrValue[],
  { data, templateDigest }: ImaRecord,
  padded = false,
): readonly PcrValue[] =>
  values.map(({ hash, pcr, value }) => {
    if (pcr !== 10) return { hash, pcr, value };
    const own = createHash(hash).update(data).digest();
    const short = Buffer.concat([createHash('sha1').update(data).digest(), Buffer.alloc(own.length - 20)]);
    const by = templateDigest[0] === 0 ? Buffer.alloc(own.length, 0xff) : padded && hash === 'sha384' ? short : own;
    return { hash, pcr, value: createHash(hash).update(value).update(by).digest() };
  });

const quoteOf = (values: readonly PcrValue[]) => ({
  attest: marshalAttest({
    magic: 0xff544347,
    type: 0x8018,
    certify: null,
    qualifiedSigner: NONE,
    extraData: NONE,
    clock: 0n,
    resetCount: 0,
    restartCount: 0,
    safe: true,
    firmwareVersion: 0n,
    quote: { selection, pcrDigest: pcrDigest(selection, values, 'sha256')! },
  }),
  signature: marshalSignature({ algorithm: 'ecdsa', hash: 'sha256', r: Buffer.alloc(32, 1), s: Buffer.alloc(32, 1) }),
});

const entries = [record(0), record(1), record(2, true), record(3), record(4)];

test.each([0, 1, 3, 5])('are found %i records after they were read, and before later ones', (count) => {
  const quoted = entries.slice(0, count).reduce((values, entry) => extend(values, entry), start);
  const found = registersAtQuote({ quoted: quoteOf(quoted), selection, before: start, window: entries });
  expect(found).toEqual(quoted);
});

test('are found where some records of the window were read already, and where a bank is padded', () => {
  const before = extend(extend(start, entries[0]!, true), entries[1]!, true);
  const quoted = [entries[2]!, entries[3]!].reduce((values, entry) => extend(values, entry, true), before);
  expect(registersAtQuote({ quoted: quoteOf(quoted), selection, before, window: entries })).toEqual(quoted);
});

test('are not made up where the list does not explain them', () => {
  const foreign = extend(start, record(99));
  expect(registersAtQuote({ quoted: quoteOf(foreign), selection, before: start, window: entries })).toBeNull();
});
