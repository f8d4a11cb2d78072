import { describe, expect, test } from '@jest/globals';
import { globMatches } from '../../../schemas/policy/glob.js';
import { matches, parseSelector, policyCovers } from '../../../schemas/policy/selector.js';

const SUBJECT = { host: 'ab12', image: 'registry/app:1.2', binary: '/app/thermostat', container: 'c0ffee' };

describe('a glob', () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['', '', true],
    ['', 'a', false],
    ['*', '', true],
    ['*', '/a/b', true],
    ['/app/*', '/app/x/y', true],
    ['/app/*', '/app', false],
    ['*stat', '/app/thermostat', true],
    ['*a*b*', 'xxaxxbxx', true],
    ['*a*b', 'ab-ab-a', false],
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['a.c', 'abc', false],
    ['**', 'x', true],
  ];
  test.each(cases)('%j on %j', (pattern, text, expected) => {
    expect(globMatches(pattern, text)).toBe(expected);
  });

  test('takes no exponential time', () => {
    const begun = performance.now();
    expect(globMatches(`${'*a'.repeat(500)}b`, 'a'.repeat(5000))).toBe(false);
    expect(performance.now() - begun).toBeLessThan(2000);
  });
});

describe('a selector', () => {
  test('joins its terms by "and"', () => {
    expect(matches(parseSelector('host=ab*,binary=/app/*'), SUBJECT)).toBe(true);
    expect(matches(parseSelector('host=ab*, binary=/opt/*'), SUBJECT)).toBe(false);
    expect(matches(parseSelector('image=registry/app:?.?,container=c0*'), SUBJECT)).toBe(true);
    expect(matches(parseSelector(''), SUBJECT)).toBe(true);
  });

  test.each([
    ['hots=a', 'names "hots"; did you mean "host"?'],
    ['host', 'has a part without "="'],
    ['host=', 'write host=* for any'],
    ['host=a,host=b', 'names "host" twice'],
    [`host=${'a'.repeat(2000)}`, 'longer than'],
  ])('%j is refused', (text, message) => {
    expect(() => parseSelector(text)).toThrow(message);
    expect(() => parseSelector(text)).toThrow(expect.objectContaining({ code: 'SELECTOR_INVALID' }));
  });
});

test('a policy covers processes by binary and image', () => {
  expect(policyCovers({ binary: 'any', image: null }, SUBJECT)).toBe(true);
  expect(policyCovers({ binary: '/app/*', image: null }, SUBJECT)).toBe(true);
  expect(policyCovers({ binary: '/opt/*', image: null }, SUBJECT)).toBe(false);
  expect(policyCovers({ binary: 'any', image: 'registry/*' }, SUBJECT)).toBe(true);
  expect(policyCovers({ binary: 'any', image: 'other/*' }, SUBJECT)).toBe(false);
});
