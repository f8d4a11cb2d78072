import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encodeRecord } from '../../../schemas/codec.js';
import { isAttestreamError } from '../../../schemas/errors.js';
import { projection } from '../../../schemas/projection.js';
import type { Activation, Parameter } from '../../../schemas/records.js';

/** Beyond ±2^52 the zigzag form leaves the exact doubles, and avsc writes another number. */
const integer = fc.integer({ min: -(2 ** 52), max: 2 ** 52 - 1 });
const parameter: fc.Arbitrary<Parameter> = fc.record({
  name: fc.string({ maxLength: 9 }),
  type: fc.constantFrom('int', 'double', 'string'),
  kind: fc.constantFrom('entry', 'current', 'unavailable'),
  int: fc.option(integer),
  real: fc.option(fc.double({ noNaN: true })),
  text: fc.option(fc.string({ unit: 'grapheme', maxLength: 400 })),
});
const activation: fc.Arbitrary<Activation> = fc.record({
  stream: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes)),
  seq: integer,
  at: integer,
  notBefore: integer,
  end: fc.option(integer),
  process: fc.string(),
  thread: fc.integer(),
  function: fc.string(),
  beginning: fc.boolean(),
  parameters: fc.array(parameter, { maxLength: 5 }),
});

test('a projection over all fields reads what Avro wrote', () => {
  const read = projection('Activation', [
    'stream',
    'seq',
    'at',
    'notBefore',
    'end',
    'process',
    'thread',
    'function',
    'beginning',
    'parameters',
  ]);
  fc.assert(
    fc.property(activation, fc.nat(9), (record, shift) => {
      const body = encodeRecord('Activation', record);
      const bytes = Buffer.concat([Buffer.alloc(shift, 255), body, Buffer.alloc(3, 255)]);
      expect({ ...read(bytes, shift, shift + body.length) }).toEqual(record);
    }),
    { seed: 7 },
  );
});

test('skipped fields do not disturb the chosen ones', () => {
  const read = projection('Activation', ['at', 'beginning']);
  fc.assert(
    fc.property(activation, (record) => {
      const body = encodeRecord('Activation', record);
      expect({ ...read(body, 0, body.length) }).toEqual({ at: record.at, beginning: record.beginning });
    }),
    { seed: 7 },
  );
});

test('mutated bytes give a record or RECORD_INVALID, never anything else', () => {
  const read = projection('Activation', ['seq', 'at', 'process', 'parameters']);
  fc.assert(
    fc.property(activation, fc.nat(), fc.nat(255), fc.nat(40), (record, place, byte, cut) => {
      const body = encodeRecord('Activation', record);
      body[place % body.length] = byte;
      try {
        read(body, 0, Math.max(0, body.length - cut));
      } catch (error) {
        expect(isAttestreamError(error, 'RECORD_INVALID')).toBe(true);
      }
    }),
    { seed: 7, numRuns: 2000 },
  );
});
