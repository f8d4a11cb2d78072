import { execFileSync, spawnSync } from 'node:child_process';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PathRegex } from '../../schemas/policy/regex/path-regex.js';
import { RegexRefused } from '../../schemas/policy/regex/syntax.js';
import { realPart } from '../support/real-part.js';
import '../support/seed.js';

const JUDGE = `
import json, re, sys, warnings
warnings.simplefilter("ignore")
for line in sys.stdin:
    pattern, texts = json.loads(line)
    try:
        compiled = re.compile(pattern)
        answer = [bool(compiled.match(text)) for text in texts]
    except (re.error, OverflowError):
        answer = None
    print(json.dumps(answer))
`;

const withPython = realPart('python3', () => {
  const { error, status } = spawnSync('python3', ['-c', 'import re']);
  return error?.message ?? (status === 0 ? null : `it ended with ${status}`);
});

const ATOMS = [
  ...'ab/.-_{}^$é٣ \n'.split(''),
  '[ab]',
  '[^a]',
  '[a-c/]',
  '[]a]',
  '[\\d_-]',
  '[\\w.]',
  '\\.',
  '\\d',
  '\\w',
  '\\s',
  '\\W',
  '\\S',
  '\\D',
  '\\A',
  '\\Z',
  '\\x61',
  '\\n',
  '\\0',
  '\\-',
  '.',
  '.*',
];
const REPEATS = ['', '', '', '', '*', '+', '?', '*?', '+?', '??', '{2}', '{1,2}', '{,2}', '{1,}', '{a}', '{}'];
const CHARACTERS = [...'aab/.-_bc{}5é٣ \n'];

/** Alternatives of sequences of what `atom` gives and of groups, repeated or not. */
const branches = (atom: fc.Arbitrary<string>): fc.Arbitrary<string> => {
  const group = fc.tuple(fc.constantFrom('(', '(?:'), atom).map(([open, body]) => `${open}${body})`);
  const part = fc
    .tuple(fc.oneof({ weight: 3, arbitrary: atom }, { weight: 1, arbitrary: group }), fc.constantFrom(...REPEATS))
    .map((both) => both.join(''));
  const sequence = fc.array(part, { maxLength: 4 }).map((all) => all.join(''));
  return fc.array(sequence, { minLength: 1, maxLength: 2 }).map((all) => all.join('|'));
};

withPython('regular expressions over paths', () => {
  test('match as those of Python do, and what Python refuses is refused', () => {
    const inner = branches(branches(fc.constantFrom(...ATOMS)));
    const text = fc.array(fc.constantFrom(...CHARACTERS), { maxLength: 8 }).map((all) => all.join(''));
    const cases = fc.sample(fc.record({ regex: inner, texts: fc.array(text, { minLength: 10, maxLength: 10 }) }), 3000);
    const input = cases.map(({ regex, texts }) => JSON.stringify([regex, texts])).join('\n');
    const output = execFileSync('python3', ['-c', JUDGE], { input, encoding: 'utf8', maxBuffer: 1 << 24 });
    const theirs = output.trimEnd().split('\n');
    let taken = 0;
    for (const [i, { regex, texts }] of cases.entries()) {
      const expected = JSON.parse(theirs[i]!) as boolean[] | null;
      let ours: boolean[] | null;
      try {
        const compiled = new PathRegex(regex);
        ours = texts.map((text) => compiled.matches(text));
        taken++;
      } catch (error) {
        if (!(error instanceof RegexRefused)) throw error;
        // Newer versions of Python have them; no automaton does.
        if (error.message.startsWith('a possessive')) continue;
        ours = null;
      }
      expect({ regex, texts, answer: ours }).toEqual({ regex, texts, answer: expected });
    }
    expect(taken).toBeGreaterThan(500);
  });
});
