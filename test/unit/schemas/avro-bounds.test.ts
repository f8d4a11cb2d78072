import { expect, test } from '@jest/globals';
import { decodeRecord, encodeRecord, RECORD_NAMES, SchemaTable } from '../../../schemas/codec.js';
import { encodeCore } from '../../../schemas/evidence/core.js';

const core = encodeCore({
  host: 'h',
  bootNonce: Buffer.alloc(32),
  leaves: [Buffer.alloc(32, 1)],
  certifyDigest: Buffer.alloc(32),
  headsDigest: Buffer.alloc(32),
  vpcrDigest: Buffer.alloc(32),
  nI0: 1,
  nB0: 0,
  prevEvidence: Buffer.alloc(32),
  assignment: '',
});

/** A count of 2^40 items where one stands. */
const COUNT = Buffer.from([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]);
const LEAVES = 2 + 32;

test('a list that says to have more items than there are bytes is refused before anything is read', () => {
  expect(core[LEAVES]).toBe(2);
  const lying = Buffer.concat([core.subarray(0, LEAVES), COUNT, core.subarray(LEAVES + 1)]);
  const began = performance.now();
  expect(() => decodeRecord('EvidenceCore', lying)).toThrow('not a EvidenceCore');
  const negative = Buffer.concat([
    core.subarray(0, LEAVES),
    Buffer.from([0xff, 0xff, 0xff, 0xff, 0x7f, 2]),
    core.subarray(LEAVES + 1),
  ]);
  expect(() => decodeRecord('EvidenceCore', negative)).toThrow('not a EvidenceCore');
  const table = new SchemaTable();
  expect(() => table.at(table.current('EvidenceCore')).decode(lying)).toThrow('not a');
  expect(performance.now() - began).toBeLessThan(1000);
});

test('also in a schema of somebody else, and in one that refers to itself', () => {
  const table = new SchemaTable();
  const list = table.add(
    JSON.stringify({
      type: 'record',
      name: 'List',
      fields: [
        { name: 'value', type: 'long' },
        { name: 'all', type: { type: 'map', values: { type: 'array', items: 'string' } } },
        { name: 'next', type: ['null', 'List'], default: null },
      ],
    }),
  );
  const { decode } = table.at(list);
  expect(decode(Buffer.from([2, 0, 2, 4, 0, 0]))).toMatchObject({ value: 1, next: { value: 2, next: null } });
  expect(() => decode(Buffer.from([2, ...COUNT, 2]))).toThrow('not a List');
  const deep = Buffer.concat([...Array.from({ length: 5000 }, () => Buffer.from([2, 0, 2])), Buffer.from([2, 0, 0])]);
  expect(() => decode(deep)).toThrow('not a List');
});

test('what was written is read', () => {
  expect(encodeRecord('EvidenceCore', decodeRecord('EvidenceCore', core)).equals(core)).toBe(true);
  expect(RECORD_NAMES.length).toBeGreaterThan(20);
});
