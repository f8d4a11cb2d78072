import { expect, test } from '@jest/globals';
import { decodeRecord, encodeRecord, SCHEMAS, SchemaTable } from '../../../schemas/codec.js';
import { fingerprint } from '../../../schemas/fingerprint.js';

test('fingerprint of the empty-ish canonical forms equals the published CRC-64-AVRO values', () => {
  // Avro's own test data: schema-tests.txt
  expect(fingerprint('"null"').readBigInt64LE()).toBe(7195948357588979594n);
  expect(fingerprint('"boolean"').readBigInt64LE()).toBe(-6970731678124411036n);
});

test('a record round-trips, and its schema document keeps the logical type', () => {
  const gap = {
    stream: Buffer.alloc(32, 1),
    seq: 3,
    at: 1_700_000_000_000_000,
    notBefore: 5,
    process: '',
    reason: 'x',
    lost: 2,
  };
  expect(decodeRecord('Gap', encodeRecord('Gap', gap))).toEqual(gap);
  expect(SCHEMAS.Gap).toContain('timestamp-micros');
  const table = new SchemaTable();
  expect(table.at(table.current('Gap')).current).toBe(true);
  expect(table.add(SCHEMAS.Gap)).toBe(table.current('Gap'));
});
