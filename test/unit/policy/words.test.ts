import { expect, test } from '@jest/globals';
import { parseDuration } from '../../../schemas/policy/duration.js';
import { didYouMean, nearest } from '../../../schemas/suggest.js';

test.each([
  ['10s', 10_000_000],
  ['4ms', 4000],
  ['250us', 250],
  ['250µs', 250],
  ['1m', 60_000_000],
  ['2h', 7_200_000_000],
  ['7d', 604_800_000_000],
  ['1.5s', 1_500_000],
  ['0.001ms', 1],
  ['0s', 0],
  ['0.5us', undefined],
  ['10', undefined],
  ['-1s', undefined],
  ['1 s', undefined],
  ['1s2ms', undefined],
  ['', undefined],
  ['999999999999999d', undefined],
])('the duration %j', (text, micros) => {
  expect(parseDuration(text)).toBe(micros);
});

test('the nearest word is what was meant', () => {
  const words = ['functions', 'machine', 'binary', 'image'];
  expect(nearest('fucntions', words)).toBe('functions');
  expect(nearest('Machine', words)).toBe('machine');
  expect(nearest('imgae', words)).toBe('image');
  expect(nearest('slice', words)).toBeUndefined();
  expect(nearest('a', ['b'])).toBeUndefined();
  expect(nearest('x'.repeat(100_000), words)).toBeUndefined();
  expect(didYouMean('slice', words)).toBe('known: functions, machine, binary, image');
  expect(didYouMean('slice', [])).toBe('');
});
