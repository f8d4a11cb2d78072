import { builtinModules } from 'node:module';
import { describe, expect, test } from '@jest/globals';
import { type Import, importsOf, readText, sourceFiles } from '../support/sources.js';

const files = sourceFiles();
const imports = files.flatMap(importsOf);
const top = (path: string): string => path.split('/')[0]!;

/** What each part may import besides itself. Parts that are not named may import all but the command line. */
const MAY: Readonly<Record<string, readonly string[]>> = {
  schemas: [],
  infra: ['schemas'],
  producers: ['schemas', 'infra'],
  processors: ['schemas', 'infra'],
};

const shown = ({ from, to }: Import): string => `${from} → ${to}`;

test('the scan sees what it is to judge', () => {
  expect(files.length).toBeGreaterThan(20);
  expect(imports.some(({ from, to }) => from === 'infra/log/event-log.ts' && to === 'schemas/codec.ts')).toBe(true);
});

describe.each(Object.keys(MAY))('%s', (part) => {
  test(`imports nothing of ours but ${['itself', ...MAY[part]!].join(', ')}`, () => {
    const allowed = new Set([part, ...MAY[part]!]);
    const wrong = imports.filter(({ from, to, own }) => own && top(from) === part && !allowed.has(top(to)));
    expect(wrong.map(shown)).toEqual([]);
  });
});

test('nothing but the command line imports the command line', () => {
  const wrong = imports.filter(({ from, to, own }) => own && top(to) === 'cli' && top(from) !== 'cli');
  expect(wrong.map(shown)).toEqual([]);
});

test('no module waits for itself: there is no circle of imports', () => {
  const graph = new Map<string, string[]>(files.map((file) => [file, []]));
  for (const { from, to, own, typeOnly } of imports) if (own && !typeOnly) graph.get(from)!.push(to);
  const state = new Map<string, 'open' | 'done'>();
  const circles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (state.get(file) === 'done') return;
    if (state.get(file) === 'open') {
      circles.push([...path.slice(path.indexOf(file)), file].join(' → '));
      return;
    }
    state.set(file, 'open');
    for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
    state.set(file, 'done');
  };
  for (const file of files) visit(file, []);
  expect(circles).toEqual([]);
});

test('what is imported from elsewhere is declared, and optional parts are never loaded at start', () => {
  const manifest = JSON.parse(readText('package.json')) as Record<string, Record<string, string>>;
  const builtin = new Set(builtinModules);
  const packageOf = (specifier: string): string =>
    specifier
      .split('/')
      .slice(0, specifier.startsWith('@') ? 2 : 1)
      .join('/');
  const outside = imports.filter(({ to, own }) => !own && !to.startsWith('node:'));
  const benches = outside.filter(({ from }) => top(from) === 'bench').map(({ to }) => to);
  const undeclared = outside.filter(
    ({ to, from }) =>
      builtin.has(to) ||
      !(
        packageOf(to) in manifest['dependencies']! ||
        (top(from) === 'bench' && packageOf(to) in manifest['devDependencies']!)
      ),
  );
  expect(benches.every((specifier) => specifier !== '')).toBe(true);
  expect(undeclared.map(shown)).toEqual([]);
});
