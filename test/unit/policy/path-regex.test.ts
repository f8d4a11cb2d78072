import { expect, test } from '@jest/globals';
import { parseHostPolicy } from '../../../schemas/policy/host/parse.js';
import { PathRegex } from '../../../schemas/policy/regex/path-regex.js';

const refusal = (regex: string): string => {
  try {
    new PathRegex(regex);
  } catch (error) {
    return (error as Error).message;
  }
  return '';
};

const exclude = (value: unknown) =>
  parseHostPolicy(JSON.stringify({ kind: 'host', id: 'h', exclude: value }), 'p').exclude;

test('matches from the beginning of a path, and need not reach its end', () => {
  const regex = new PathRegex('/usr/lib/python3\\.[0-9]+/.*\\.pyc');
  expect(regex.matches('/usr/lib/python3.11/a/b.pyc.tmp')).toBe(true);
  expect(regex.matches('/usr/lib/python3x11/a/b.pyc')).toBe(false);
  expect(regex.matches('/x/usr/lib/python3.11/a.pyc')).toBe(false);
  expect(new PathRegex('').matches('anything')).toBe(true);
});

test('takes time that grows with the lengths, whatever the expression', () => {
  const path = `/${'a'.repeat(4000)}!`;
  const cpu = process.cpuUsage();
  for (const regex of ['/(a+)+$', '/(a|a)*$', '/(a|aa)+$', '/(.*a){30}b', '/(?:a*)*b', '/((a?){30}){20}c'])
    expect(new PathRegex(regex).matches(path)).toBe(false);
  const { user } = process.cpuUsage(cpu);
  expect(user).toBeLessThan(20_000_000);
});

test.each([
  ['looks around', '/a(?=b)'],
  ['sets flags', '(?i)/A'],
  ['has a name', '(?P<x>a)'],
  ['a reference', '(a)\\1'],
  ['\\b is not taken', 'a\\b'],
  ['possessive', 'a++'],
  ['a repetition of a repetition', 'a**'],
  ['a repetition of nothing', '*a'],
  ['closes nothing, at character 2', 'a)'],
  ['does not close', '(a'],
  ['does not close', '[a'],
  ['a range', '[z-a]'],
  ['a count', 'a{2,1}'],
  ['a backslash at the end', 'a\\'],
  ['it repeats too much', '(a{1000}){1000}'],
  ['more than 32 groups', '('.repeat(40) + ')'.repeat(40)],
  ['longer than 2048', 'a'.repeat(2049)],
])('refused: %s', (why, regex) => {
  expect(refusal(regex)).toContain(why);
});

test('a policy of hosts takes them beside globs, and says where one is refused', () => {
  const [glob, regex] = exclude(['/tmp/*', { regex: '/var/(log|cache)/' }]);
  expect(glob).toMatchObject({ form: 'glob', text: '/tmp/*' });
  expect(regex).toMatchObject({ form: 'regex', text: '/var/(log|cache)/' });
  expect(['/var/cache/x', '/var/lib/x'].map((path) => regex!.matches(path))).toEqual([true, false]);
  expect(exclude({ regex: 'a' })).toHaveLength(1);
  expect(() => exclude(['/a', { regex: '/b(' }])).toThrow('exclude[1].regex: a parenthesis that does not close');
  expect(() => exclude([7])).toThrow('exclude[0]: not a path');
  expect(() => exclude([{ regexp: 'a' }])).toThrow('regexp');
  expect(() => exclude(Array.from({ length: 120 }, () => ({ regex: '.{999}' })))).toThrow('steps together');
});
