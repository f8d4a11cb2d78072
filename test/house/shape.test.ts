import { basename } from 'node:path';
import { expect, test } from '@jest/globals';
import { filesBelow, readText, sourceFiles } from '../support/sources.js';

const files = sourceFiles();

test('no file but the root is called index.ts: a folder has no second face', () => {
  expect(files.filter((file) => basename(file) === 'index.ts' && file !== 'index.ts')).toEqual([]);
});

test('no file only hands on what others export', () => {
  const barrels = files.filter((file) => {
    const lines = readText(file)
      .replace(/\/\*[\s\S]*?\*\//g, '')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('//'));
    return file !== 'index.ts' && lines.length > 0 && lines.every((line) => /^export\b.*\bfrom '/.test(line));
  });
  expect(barrels).toEqual([]);
});

test('files are named in kebab-case after one concept', () => {
  const named = files.map((file) => basename(file, '.ts'));
  expect(named.filter((name) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.worker|\.d)?$/.test(name))).toEqual([]);
  expect(named.filter((name) => /^(utils?|helpers?|misc|common)$/.test(name))).toEqual([]);
});

test('nothing is left to be done, and no path of one machine is in the repository', () => {
  // Written in two parts so that this file does not find itself.
  const words = [`TO${'DO'}`, `FIX${'ME'}`, `/wo${'rk'}/`, `/tmp/bash${'_jobs'}`];
  const pattern = new RegExp(words.map((word) => (word.startsWith('/') ? word : `\\b${word}\\b`)).join('|'));
  const text = filesBelow('.', (name) =>
    /\.(ts|mjs|js|md|avsc|sql|yaml|yml|json|c|sh|py|html|css)$|^run$/.test(name),
  ).filter((file) => file !== 'package-lock.json');
  expect(text.length).toBeGreaterThan(50);
  expect(text.filter((file) => pattern.test(readText(file)))).toEqual([]);
});

test('tests are neither left out nor left alone', () => {
  const left = filesBelow('test', (name) => name.endsWith('.test.ts')).filter((file) =>
    /\b(?:test|it|describe)\.only\(|\bx(?:it|test|describe)\(/.test(readText(file)),
  );
  expect(left.filter((file) => !file.endsWith('house/shape.test.ts'))).toEqual([]);
});

test('no assertion is empty: toMatchObject takes any value for a bare regular expression', () => {
  const empty = /toMatchObject\(\s*\{[^()]*:\s*\/[^/*]/;
  expect(empty.test(`toMatchObject({ message: ${'/'}x/ })`)).toBe(true);
  const files = filesBelow('test', (name) => name.endsWith('.ts') && name !== 'shape.test.ts');
  expect(files.filter((file) => empty.test(readText(file)))).toEqual([]);
});
