import { describe, expect, test } from '@jest/globals';
import { parseJsonRow } from '../../../producers/import/json-row.js';
import { NumberText } from '../../../producers/import/number-text.js';
import { compileTime, type TimeFormat } from '../../../producers/import/time.js';

const read = (value: unknown, spec: Partial<TimeFormat> = {}): number =>
  compileTime({ unit: null, format: null, zone: null, ...spec })(value);
const utc = (text: string, micros = 0): number => Date.parse(text) * 1000 + micros;

describe('numbers, to the microsecond', () => {
  test.each([
    ['1700000000.123456', 's', 1_700_000_000_123_456],
    ['1700000000.1234569', 's', 1_700_000_000_123_456],
    [1700000000.123456, 's', 1_700_000_000_123_456],
    ['1700000000', 's', 1_700_000_000_000_000],
    ['1700000000123.456', 'ms', 1_700_000_000_123_456],
    ['1700000000123456', 'us', 1_700_000_000_123_456],
    ['1700000000123456999', 'ns', 1_700_000_000_123_456],
    [new NumberText('1700000000123456789'), 'ns', 1_700_000_000_123_456],
    ['1.7e9', 's', 1_700_000_000_000_000],
    ['0', 's', 0],
  ] as const)('%p %s', (value, unit, micros) => {
    expect(read(value, { unit })).toBe(micros);
  });
  test.each(['', 'x', '0x10', 'NaN'])('%p is no time', (value) => {
    expect(() => read(value, { unit: 's' })).toThrow('is not a number of s');
  });
  test('a wrong unit is noticed', () => {
    expect(() => read('1700000000000', { unit: 's' })).toThrow('outside of 1970..2199');
  });
});

describe('ISO 8601', () => {
  test.each([
    ['2023-11-14T22:13:20Z', utc('2023-11-14T22:13:20Z')],
    ['2023-11-14T22:13:20.123456+02:00', utc('2023-11-14T20:13:20Z', 123_456)],
    ['2023-11-14 22:13:20,5 -0330', utc('2023-11-15T01:43:20Z', 500_000)],
    ['20231114T221320Z', utc('2023-11-14T22:13:20Z')],
    ['2023-11-14', utc('2023-11-14T00:00:00Z')],
    ['2016-12-31T23:59:60Z', utc('2017-01-01T00:00:00Z')],
    ['2023-11-14T24:00:00Z', utc('2023-11-15T00:00:00Z')],
  ])('%s', (text, micros) => {
    expect(read(text)).toBe(micros);
  });
  test.each(['2023-02-29', '2023-13-01', '2023-11-14T25:00', '14.11.2023', ''])('%p is refused', (text) => {
    expect(() => read(text)).toThrow('is not ISO 8601');
  });
});

describe('zones', () => {
  const berlin = { zone: 'Europe/Berlin' };
  test.each([
    ['2023-07-01T12:00:00', '2023-07-01T10:00:00Z'],
    ['2023-12-01T12:00:00', '2023-12-01T11:00:00Z'],
    ['2023-12-01T12:00:00Z', '2023-12-01T12:00:00Z'],
    // Clocks went back at 03:00: what occurs twice means the first time.
    ['2023-10-29T02:30:00', '2023-10-29T00:30:00Z'],
    ['2023-10-29T03:00:00', '2023-10-29T02:00:00Z'],
    // Clocks went forward at 02:00: 02:30 did not occur.
    ['2023-03-26T02:30:00', '2023-03-26T01:30:00Z'],
    ['2023-03-26T03:00:00', '2023-03-26T01:00:00Z'],
  ])('%s', (text, meant) => {
    expect(read(text, berlin)).toBe(utc(meant));
  });
  test('a zone that does not exist is refused when the map is read', () => {
    expect(() => read('', { zone: 'Europe/Atlantis' })).toThrow('no time zone');
  });
});

describe('patterns', () => {
  test.each([
    ['%d/%b/%Y:%H:%M:%S %z', '14/Nov/2023:22:13:20 +0100', utc('2023-11-14T21:13:20Z')],
    ['%Y-%m-%d %H:%M:%S.%f', '2023-11-14 22:13:20.000001', utc('2023-11-14T22:13:20Z', 1)],
    ['%m/%d/%y %I:%M %p', '11/14/23 12:05 AM', utc('2023-11-14T00:05:00Z')],
    ['%s', '1700000000', 1_700_000_000_000_000],
    ['yyyy-MM-dd HH:mm:ss.SSS', '2023-11-14 22:13:20.123', utc('2023-11-14T22:13:20.123Z')],
    ["dd.MM.yyyy'T'HH:mmXXX", '14.11.2023T22:13+01:00', utc('2023-11-14T21:13:00Z')],
  ])('%s', (format, text, micros) => {
    expect(read(text, { format })).toBe(micros);
  });
  test('an unknown piece is named', () => {
    expect(() => read('', { format: '%Q' })).toThrow('%Q');
    expect(() => read('', { format: 'HH:mm' })).toThrow('no year and day');
  });
});

test('JSON keeps the digits of times in every unit up to the microsecond', () => {
  const at = (digits: string, unit: 's' | 'ms' | 'ns'): number => read(parseJsonRow(`{"t":${digits}}`)['t'], { unit });
  for (const micros of [1_700_000_000_123_457, 1_999_999_999_999_999, 4_102_444_800_000_001]) {
    const text = String(micros);
    expect(at(`${text.slice(0, -6)}.${text.slice(-6)}`, 's')).toBe(micros);
    expect(at(`${text.slice(0, -6)}.${text.slice(-6)}999`, 's')).toBe(micros);
    expect(at(`${text.slice(0, -3)}.${text.slice(-3)}`, 'ms')).toBe(micros);
    expect(at(`${text}999`, 'ns')).toBe(micros);
  }
});
