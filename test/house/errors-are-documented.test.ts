import { expect, test } from '@jest/globals';
import { exitCodeOf } from '../../cli/exit.js';
import { AttestreamError, ERRORS, type ErrorCode } from '../../schemas/errors.js';
import { readText, sourceFiles, withoutComments } from '../support/sources.js';

const codes = Object.keys(ERRORS) as ErrorCode[];
const page = readText('docs/errors.md');

test('docs/errors.md says of every code what the table says, and of no other (node scripts/write-errors.mjs)', () => {
  const sections = [...page.matchAll(/^### (\S+)\n\nExit code (\d+)\. (.*)$/gm)].map(([, code, exit, text]) => [
    code,
    Number(exit),
    text,
  ]);
  const wanted = codes.map((code) => [code, exitCodeOf(new AttestreamError(code, '')), ERRORS[code]]);
  expect(sections.sort()).toEqual(wanted.sort());
});

test('every code of the table is used', () => {
  const code = sourceFiles()
    .filter((file) => file !== 'schemas/errors.ts')
    .map((file) => withoutComments(readText(file)))
    .join('\n');
  expect(codes.filter((name) => !code.includes(`'${name}'`))).toEqual([]);
});

test('a failure is never exit code 1, which means a finding', () => {
  expect(
    codes.map((code) => exitCodeOf(new AttestreamError(code, ''))).filter((exit) => exit !== 2 && exit !== 3),
  ).toEqual([]);
  expect(exitCodeOf(new TypeError('a defect'))).toBe(3);
});
